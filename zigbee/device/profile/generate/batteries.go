package main

import (
	"bufio"
	_ "embed" // the curves
	"fmt"
	"strings"

	"github.com/peerbee/peerbee/zigbee/device/profile"
)

//go:embed batteries.txt
var batteriesText string

// readBatteries reads batteries.txt: lines of points, voltage in 0.1 V and charge in percent, each followed by
// indented lines with vendor and model. The result is by vendor and model, joined by a tab.
func readBatteries() (map[string][]profile.Point, error) {
	curves := map[string][]profile.Point{}
	var points []profile.Point
	s := bufio.NewScanner(strings.NewReader(batteriesText))
	for line := 1; s.Scan(); line++ {
		if model, ok := strings.CutPrefix(s.Text(), "\t"); ok {
			curves[model] = points
			continue
		}
		points = nil
		for _, field := range strings.Fields(s.Text()) {
			var p profile.Point
			if _, err := fmt.Sscanf(field, "%g:%g", &p.X, &p.Y); err != nil {
				return nil, fmt.Errorf("batteries.txt line %d: %w", line, err)
			}
			points = append(points, p)
		}
	}
	return curves, nil
}
