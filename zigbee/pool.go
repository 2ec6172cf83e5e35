package zigbee

import "context"

// pool runs short jobs on a few goroutines; a job that finds the line full is refused.
type pool struct {
	jobs    chan func(context.Context)
	workers int
}

func newPool(workers, line int) *pool {
	return &pool{jobs: make(chan func(context.Context), line), workers: workers}
}

// try never blocks; false means that the job will not run.
func (p *pool) try(job func(context.Context)) bool {
	select {
	case p.jobs <- job:
		return true
	default:
		return false
	}
}

// work is one worker's loop.
func (p *pool) work(ctx context.Context) {
	for {
		select {
		case job := <-p.jobs:
			job(ctx)
		case <-ctx.Done():
			return
		}
	}
}
