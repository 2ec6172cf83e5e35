package zigbee

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestForeignStickIsRefusedByName(t *testing.T) {
	dir := t.TempDir()
	tty, byID := filepath.Join(dir, "ttyACM0"), filepath.Join(dir, "usb-ConBee_II")
	if err := errors.Join(os.WriteFile(tty, nil, 0o600), os.Symlink(tty, byID)); err != nil {
		t.Fatal(err)
	}
	found := func() ([]Stick, error) {
		return []Stick{{Path: byID, Name: "ConBee II", Family: "deconz"}, {Path: "/dev/ttyUSB0", Name: "Sonoff Dongle-P", Family: "znp"}}, nil
	}
	for _, spec := range []string{byID, tty, tty + "?rtscts=1"} {
		err := refuseForeign(spec, found)
		var wrong *WrongFamilyError
		if !errors.As(err, &wrong) || !wrong.WrongFamily() || !strings.Contains(err.Error(), "ConBee II") {
			t.Errorf("%s: %v", spec, err)
		}
		if problem, hint := wrong.Explain(); problem == "" || hint == "" {
			t.Errorf("explained as %q, %q", problem, hint)
		}
	}
	for _, spec := range []string{"/dev/ttyUSB0", "/dev/ttyUSB1", "tcp://127.0.0.1:6638"} {
		if err := refuseForeign(spec, found); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
	if err := refuseForeign(tty, func() ([]Stick, error) { return nil, errors.New("no sysfs") }); err != nil {
		t.Errorf("unknown sticks: %v", err)
	}
	if err := CheckPort("ttyUSB0"); err == nil {
		t.Error("a relative port name passed")
	}
	if _, err := OpenerFor(filepath.Join(dir, "absent"))(t.Context()); err == nil {
		t.Error("an absent port opened")
	}
}
