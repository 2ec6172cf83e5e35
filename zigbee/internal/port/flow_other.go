//go:build !linux

package port

import "errors"

func enableRTSCTS(int) error { return errors.ErrUnsupported }
