package port

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plug builds what the kernel and udev show of one USB serial port.
func plug(t *testing.T, root, tty, byID, iface, vid, pid, maker, product, number string) {
	t.Helper()
	if vid != "" {
		usb := filepath.Join(root, "sys/devices/usb1", tty+"-usb")
		for name, text := range map[string]string{
			"idVendor": vid, "idProduct": pid, "manufacturer": maker, "product": product, "serial": number,
		} {
			if text != "" {
				write(t, filepath.Join(usb, name), text+"\n")
			}
		}
		write(t, filepath.Join(usb, "1-1:1.0", "bInterfaceNumber"), iface+"\n")
		write(t, filepath.Join(usb, "1-1:1.0", tty, "uevent"), "")
		link(t, filepath.Join(usb, "1-1:1.0", tty), filepath.Join(root, "sys/class/tty", tty, "device"))
	}
	if byID != "" {
		link(t, "../../"+tty, filepath.Join(root, "dev/serial/by-id", byID))
	}
}

func TestDiscover(t *testing.T) {
	root := t.TempDir()
	const dongleP = "usb-ITead_Sonoff_Zigbee_3.0_USB_Dongle_Plus_c88d5ec4-if00-port0"
	plug(t, root, "ttyUSB0", dongleP, "00", "10c4", "ea60", "ITead", "Sonoff Zigbee 3.0 USB Dongle Plus", "c88d5ec4")
	plug(t, root, "ttyUSB1", "usb-Silicon_Labs_CP2102N_0001-if00-port0", "00", "10c4", "ea60", "Silicon Labs", "CP2102N USB to UART Bridge Controller", "0001")
	plug(t, root, "ttyACM0", "", "00", "1cf1", "0030", "dresden elektronik ingenieurtechnik GmbH", "ConBee II", "DE1")
	plug(t, root, "ttyACM1", "usb-Arduino_Uno-if00", "00", "2341", "0043", "Arduino", "Uno", "")
	plug(t, root, "ttyACM2", "usb-Texas_Instruments_XDS110_L1-if00", "00", "0451", "bef3", "Texas Instruments", "XDS110 Embed with CMSIS-DAP", "L1")
	plug(t, root, "ttyACM3", "usb-Texas_Instruments_XDS110_L1-if03", "03", "0451", "bef3", "Texas Instruments", "XDS110 Embed with CMSIS-DAP", "L1")

	got, err := DiscoverIn(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []Stick{
		{Path: "/dev/serial/by-id/" + dongleP, Name: "Sonoff Dongle-P", Family: "znp", VID: "10c4", PID: "ea60", Serial: "c88d5ec4"},
		{Path: "/dev/serial/by-id/usb-Texas_Instruments_XDS110_L1-if00", Name: "Texas Instruments LAUNCHXL-CC26x2/CC13x2", Family: "znp", VID: "0451", PID: "bef3", Serial: "L1"},
		{Path: "/dev/ttyACM0", Name: "ConBee II", Family: "deconz", VID: "1cf1", PID: "0030", Serial: "DE1"},
		{Path: "/dev/serial/by-id/usb-Silicon_Labs_CP2102N_0001-if00-port0", Name: "CP210x USB serial bridge", Possible: true, VID: "10c4", PID: "ea60", Serial: "0001"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRecogniseByStableName(t *testing.T) {
	for byID, want := range map[string]string{
		"usb-ITEAD_SONOFF_Zigbee_3.0_USB_Dongle_Plus_V2_2022-if00":                  "ezsp Sonoff Dongle-E",
		"usb-Itead_Sonoff_Zigbee_3.0_USB_Dongle_Plus_V2_9c-if00-port0":              "ezsp Sonoff Dongle-E",
		"usb-Silicon_Labs_Sonoff_Zigbee_3.0_USB_Dongle_Plus_0001-if00-port0":        "znp Sonoff Dongle-P",
		"usb-dresden_elektronik_ingenieurtechnik_GmbH_ConBee_II_DE2-if00":           "deconz ConBee II",
		"usb-dresden_elektronik_ConBee_III_DE03188111-if00-port0":                   "deconz ConBee III",
		"usb-Nabu_Casa_SkyConnect_v1.0_9e2adbd75b8beb11-if00-port0":                 "ezsp Home Assistant SkyConnect",
		"usb-Nabu_Casa_Home_Assistant_Connect_ZBT-1_9e2adbd75b8beb11-if00-port0":    "ezsp Home Assistant Connect ZBT-1",
		"usb-SMLIGHT_SMLIGHT_SLZB-06p7_8f-if00-port0":                               "znp SMLIGHT SLZB-06",
		"usb-SMLIGHT_SMLIGHT_SLZB-06M_8f-if00-port0":                                "ezsp SMLIGHT SLZB-06M",
		"usb-SMLIGHT_SMLIGHT_SLZB-07_be9faa0786e1ea11bd68dc2d9a583111-if00-port0":   "ezsp SMLIGHT SLZB-07",
		"usb-SMLIGHT_SMLIGHT_SLZB-07p7_be9faa0786e1ea11bd68dc2d9a583111-if00-port0": "znp SMLIGHT SLZB-07p",
		"usb-Texas_Instruments_TI_CC2531_USB_CDC___0X00124B001CCE3385-if00":         "znp Texas Instruments CC2531",
		"usb-Silicon_Labs_slae.sh_cc2652rb_stick_-_slaesh_s_iot_stuff-if00-port0":   "znp slae.sh CC2652RB",
		"usb-Texas_Instruments_XDS110__02.03.00.18__L1100H86-if03":                  "",
		"usb-1a86_USB_Single_Serial_5479-if00":                                      "",
	} {
		stick, ok := recognise(usbPort{byID: byID, path: byID})
		got := stick.Family + " " + stick.Name
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%s: %q, want %q", byID, got, want)
		}
	}
}
