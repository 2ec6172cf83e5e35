package port

import "strings"

// Stick families by the protocol the firmware speaks.
const (
	FamilyZNP    = "znp"
	FamilyEZSP   = "ezsp"
	FamilyDeconz = "deconz"
)

// known is one row of the stick table. All words must occur in the port's USB strings or its by-id name, folded
// by fold. The first row that matches wins, so a longer name stands above its prefix.
type known struct {
	words  []string
	iface  string // USB interface that carries the coordinator; empty: any
	family string
	name   string
}

var sticks = []known{
	{words: []string{"sonoff", "dongle_plus_v2"}, family: FamilyEZSP, name: "Sonoff Dongle-E"},
	{words: []string{"sonoff", "mg24"}, family: FamilyEZSP, name: "Sonoff Dongle MG24"},
	{words: []string{"sonoff", "mg21"}, family: FamilyEZSP, name: "Sonoff Dongle MG21"},
	{words: []string{"sonoff", "zigbee_3.0_usb_dongle_plus"}, family: FamilyZNP, name: "Sonoff Dongle-P"},
	{words: []string{"conbee_iii"}, family: FamilyDeconz, name: "ConBee III"},
	{words: []string{"conbee_ii"}, family: FamilyDeconz, name: "ConBee II"},
	{words: []string{"conbee"}, family: FamilyDeconz, name: "ConBee"},
	{words: []string{"raspbee"}, family: FamilyDeconz, name: "RaspBee"},
	{words: []string{"skyconnect"}, family: FamilyEZSP, name: "Home Assistant SkyConnect"},
	{words: []string{"zbt-1"}, family: FamilyEZSP, name: "Home Assistant Connect ZBT-1"},
	{words: []string{"zbt-2"}, family: FamilyEZSP, name: "Home Assistant Connect ZBT-2"},
	{words: []string{"slzb-06m"}, family: FamilyEZSP, name: "SMLIGHT SLZB-06M"},
	{words: []string{"slzb-06"}, family: FamilyZNP, name: "SMLIGHT SLZB-06"},
	{words: []string{"slzb-07p"}, family: FamilyZNP, name: "SMLIGHT SLZB-07p"},
	{words: []string{"slzb-07"}, family: FamilyEZSP, name: "SMLIGHT SLZB-07"},
	{words: []string{"cc2531"}, family: FamilyZNP, name: "Texas Instruments CC2531"},
	{words: []string{"cc2538"}, family: FamilyZNP, name: "Texas Instruments CC2538"},
	{words: []string{"xds110"}, iface: "00", family: FamilyZNP, name: "Texas Instruments LAUNCHXL-CC26x2/CC13x2"},
	{words: []string{"zig-a-zig-ah"}, family: FamilyZNP, name: "Electrolama zzh"},
	{words: []string{"zzh"}, family: FamilyZNP, name: "Electrolama zzh"},
	{words: []string{"slae.sh"}, family: FamilyZNP, name: "slae.sh CC2652RB"},
	{words: []string{"zigstar"}, family: FamilyZNP, name: "ZigStar"},
	{words: []string{"cc2652"}, family: FamilyZNP, name: "CC2652 stick"},
	{words: []string{"cc1352"}, family: FamilyZNP, name: "CC1352 stick"},
	{words: []string{"elelabs"}, family: FamilyEZSP, name: "Elelabs"},
	{words: []string{"hubz"}, iface: "01", family: FamilyEZSP, name: "Nortek HUSBZB-1"},
}

// bridges are general USB serial chips: they sit on sticks and on a thousand other things, so alone they only
// make a stick possible.
var bridges = map[string]string{
	"10c4:ea60": "CP210x USB serial bridge",
	"1a86:55d4": "CH9102 USB serial bridge",
	"1a86:7523": "CH340 USB serial bridge",
	"0403:6015": "FT230X USB serial bridge",
}

func recognise(p usbPort) (Stick, bool) {
	text := fold(p.maker + " " + p.stick + " " + p.byID)
	stick := Stick{Path: p.path, VID: p.vid, PID: p.pid, Serial: p.serialNumber}
	for _, k := range sticks {
		if !containsAll(text, k.words) {
			continue
		}
		if k.iface != "" && k.iface != p.interfaceNumber() {
			return Stick{}, false
		}
		stick.Family, stick.Name = k.family, k.name
		return stick, true
	}
	if name, ok := bridges[p.vid+":"+p.pid]; ok {
		stick.Name, stick.Possible = name, true
		return stick, true
	}
	return Stick{}, false
}

// interfaceNumber falls back to the by-id name, which ends in "-if00" or "-if00-port0".
func (p usbPort) interfaceNumber() string {
	if p.iface != "" {
		return p.iface
	}
	if _, after, ok := strings.Cut(p.byID, "-if"); ok && len(after) >= 2 {
		return after[:2]
	}
	return ""
}

func fold(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "_")) }

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
