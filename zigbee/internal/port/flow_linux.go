package port

import "golang.org/x/sys/unix"

// enableRTSCTS switches hardware flow control on: the settings belong to the terminal, not to a descriptor, so
// they hold for every reader of the port.
func enableRTSCTS(fd int) error {
	settings, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	settings.Cflag |= unix.CRTSCTS
	return unix.IoctlSetTermios(fd, unix.TCSETS, settings)
}
