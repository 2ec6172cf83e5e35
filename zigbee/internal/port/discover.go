package port

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Stick is a serial port with a coordinator stick behind it, or one that may have.
type Stick struct {
	Path     string // the stable /dev/serial/by-id name where there is one
	Name     string // the maker's name of the stick, or of the bridge chip when that is all that is known
	Family   string // "znp", "ezsp", "deconz"; empty when only the bridge chip is known
	Possible bool   // true when nothing but a general USB bridge was recognised
	VID, PID string // USB identifiers, four lower-case hex digits; empty when the system does not tell
	Serial   string
}

// Discover lists the sticks of this machine, certain ones first.
func Discover() ([]Stick, error) { return DiscoverIn("/") }

// DiscoverIn is Discover below another root, which holds dev/serial/by-id and sys/class/tty.
func DiscoverIn(root string) ([]Stick, error) {
	ports, err := serialPorts(root)
	if err != nil {
		return nil, err
	}
	var sticks []Stick
	for _, p := range ports {
		if s, ok := recognise(p); ok {
			sticks = append(sticks, s)
		}
	}
	sort.SliceStable(sticks, func(i, j int) bool {
		if sticks[i].Possible != sticks[j].Possible {
			return !sticks[i].Possible
		}
		return sticks[i].Path < sticks[j].Path
	})
	return sticks, nil
}

// usbPort is what the system tells of one serial port.
type usbPort struct {
	path         string
	byID         string // base name of the by-id link
	iface        string // USB interface number, two hex digits
	vid, pid     string
	maker, stick string
	serialNumber string
}

// serialPorts joins the kernel's USB serial ports with udev's stable names. A container may show only one of the two.
func serialPorts(root string) ([]usbPort, error) {
	byDevice := make(map[string]*usbPort)
	ttys, err := filepath.Glob(filepath.Join(root, "sys/class/tty/*"))
	if err != nil {
		return nil, fmt.Errorf("list serial ports: %w", err)
	}
	for _, tty := range ttys {
		name := filepath.Base(tty)
		if !strings.HasPrefix(name, "ttyUSB") && !strings.HasPrefix(name, "ttyACM") {
			continue
		}
		p := &usbPort{path: "/dev/" + name}
		p.describe(filepath.Join(tty, "device"))
		byDevice[name] = p
	}
	links, err := filepath.Glob(filepath.Join(root, "dev/serial/by-id/*"))
	if err != nil {
		return nil, fmt.Errorf("list serial ports: %w", err)
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		p := byDevice[filepath.Base(target)]
		if p == nil {
			p = &usbPort{}
			byDevice[filepath.Base(target)] = p
		}
		p.byID = filepath.Base(link)
		p.path = "/dev/serial/by-id/" + p.byID
	}
	ports := make([]usbPort, 0, len(byDevice))
	for _, p := range byDevice {
		ports = append(ports, *p)
	}
	return ports, nil
}

// describe climbs from a tty's device folder to the USB interface and the USB device it belongs to.
func (p *usbPort) describe(device string) {
	dir, err := filepath.EvalSymlinks(device)
	if err != nil {
		return
	}
	for range 5 {
		if n := attribute(dir, "bInterfaceNumber"); n != "" {
			p.iface = n
		}
		if vid := attribute(dir, "idVendor"); vid != "" {
			p.vid, p.pid = strings.ToLower(vid), strings.ToLower(attribute(dir, "idProduct"))
			p.maker, p.stick = attribute(dir, "manufacturer"), attribute(dir, "product")
			p.serialNumber = attribute(dir, "serial")
			return
		}
		dir = filepath.Dir(dir)
	}
}

func attribute(dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name)) // #nosec G304 -- a fixed name below sysfs
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
