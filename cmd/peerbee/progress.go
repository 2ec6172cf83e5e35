package main

import (
	"bufio"
	"fmt"
	"strings"
	"sync"
	"time"
)

// progress shows that long work goes on: a ticking line on a terminal, nothing in a pipe. The returned function
// ends it and wipes the line.
func (a *app) progress(what string) func() {
	start := time.Now()
	return a.liveLine(func() string { return fmt.Sprintf("%s ... %ds", what, int(time.Since(start).Seconds())) }).end
}

// live is the last line of a terminal, written anew twice a second. The zero value shows nothing.
type live struct {
	a    *app
	text func() string
	stop chan struct{} // nil: not a terminal
	done chan struct{}

	mu sync.Mutex // one writer at a time on the terminal
}

// wipe returns to the line's beginning and clears it (ECMA-48 EL).
const wipe = "\r\x1b[K"

func (a *app) liveLine(text func() string) *live {
	l := &live{a: a, text: text}
	if !terminal(a.err) {
		return l
	}
	l.stop, l.done = make(chan struct{}), make(chan struct{})
	go l.run()
	return l
}

func (l *live) run() {
	defer close(l.done)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		l.mu.Lock()
		fmt.Fprint(l.a.err, wipe+l.text())
		l.mu.Unlock()
		select {
		case <-l.stop:
			fmt.Fprint(l.a.err, wipe)
			return
		case <-tick.C:
		}
	}
}

// above lets print write whole lines; the live line comes back below them.
func (l *live) above(print func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop == nil {
		print()
		return
	}
	fmt.Fprint(l.a.err, wipe)
	print()
	fmt.Fprint(l.a.err, l.text())
}

func (l *live) end() {
	if l.stop == nil {
		return
	}
	close(l.stop)
	<-l.done
}

// confirm asks a yes-or-no question. Without a person on both ends the answer is no.
func (a *app) confirm(question string) bool {
	if !terminal(a.err) || !terminalIn(a.in) {
		return false
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil {
		return false
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}
