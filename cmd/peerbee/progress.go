package main

import (
	"bufio"
	"fmt"
	"strings"
	"time"
)

// progress shows that long work goes on: a ticking line on a terminal, nothing in a pipe. The returned function
// ends it and wipes the line.
func (a *app) progress(what string) func() {
	if !terminal(a.err) {
		return func() {}
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		start := time.Now()
		for {
			fmt.Fprintf(a.err, "\r%s ... %ds", what, int(time.Since(start).Seconds()))
			select {
			case <-stop:
				fmt.Fprint(a.err, "\r\x1b[K")
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(stop)
		<-done
	}
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
