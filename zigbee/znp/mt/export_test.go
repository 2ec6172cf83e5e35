package mt

// ExchangeCount is the number of requests described.
func ExchangeCount() int { return len(exchanges) }
