package znp

// OpenState gives the state shown for a port that cannot be opened.
func OpenState(err error) State { return newOpenError(err).state() }
