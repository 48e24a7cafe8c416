package checks

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lictor-mesh/lictor/model"
)

// scripted is a Probe that finds what it is told to, and takes its time for it.
type scripted struct {
	find func(run int) model.Status
	take time.Duration
	runs []time.Duration
	from time.Time
}

func (p *scripted) Probe(ctx context.Context) Result {
	p.runs = append(p.runs, time.Since(p.from))
	if p.take > 0 {
		select {
		case <-time.After(p.take):
		case <-ctx.Done():
			return critical(ctx.Err())
		}
	}
	return Result{Status: p.find(len(p.runs))}
}

// inTime runs body beside a loop around p, in a time of its own.
func inTime(t *testing.T, s Spec, random time.Duration, p *scripted, body func(c Check, results func() []Result)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		env := testEnv()
		env.Random = func(n time.Duration) time.Duration { return min(random, n-1) }
		var mu sync.Mutex
		var results []Result
		s.Report = func(r Result) {
			mu.Lock()
			defer mu.Unlock()
			results = append(results, r)
		}
		if s.Status == "" {
			s.Status = model.StatusCritical
		}
		p.from = time.Now()
		c := every(s, env, p, DefaultTimeout)
		ctx, cancel := context.WithCancel(t.Context())
		go c.Run(ctx)
		body(c, func() []Result {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(results)
		})
		cancel()
		synctest.Wait()
	})
}

func passing(int) model.Status { return model.StatusPassing }

func TestTheFirstRunIsStaggeredAndTheOthersFollowTheInterval(t *testing.T) {
	p := &scripted{find: passing}
	inTime(t, Spec{Definition: model.CheckDefinition{Interval: 10 * time.Second}}, 7*time.Second, p, func(Check, func() []Result) {
		time.Sleep(30 * time.Second)
		synctest.Wait()
	})
	if len(p.runs) != 3 || p.runs[0] != 7*time.Second || p.runs[1] != 17*time.Second {
		t.Errorf("ran at %v", p.runs)
	}
}

func TestAtOnceDoesNotWaitForTheInterval(t *testing.T) {
	p := &scripted{find: passing}
	inTime(t, Spec{AtOnce: true, Definition: model.CheckDefinition{Interval: time.Hour}}, time.Hour, p, func(Check, func() []Result) {
		time.Sleep(time.Second)
		synctest.Wait()
	})
	if len(p.runs) != 1 || p.runs[0] > atOnceSpread {
		t.Errorf("ran at %v", p.runs)
	}
}

func TestIntervalsBelowASecondAreRaised(t *testing.T) {
	p := &scripted{find: passing}
	inTime(t, Spec{Definition: model.CheckDefinition{Interval: time.Millisecond}}, 0, p, func(Check, func() []Result) {
		time.Sleep(3500 * time.Millisecond)
		synctest.Wait()
	})
	if len(p.runs) != 4 {
		t.Errorf("ran at %v", p.runs)
	}
}

func TestTheTimeoutIsTenSecondsUnlessSaid(t *testing.T) {
	p := &scripted{find: passing, take: time.Hour}
	inTime(t, Spec{Definition: model.CheckDefinition{Interval: time.Minute}}, 0, p, func(_ Check, results func() []Result) {
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if len(results()) != 0 {
			t.Error("too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(results()) != 1 {
			t.Error("too late")
		}
	})
}

func TestAKickRunsAtOnceAndIsAnsweredByARunBegunAfterIt(t *testing.T) {
	p := &scripted{find: passing, take: time.Second}
	inTime(t, Spec{Definition: model.CheckDefinition{Interval: time.Hour}}, 0, p, func(c Check, results func() []Result) {
		time.Sleep(500 * time.Millisecond) // in the middle of the first run
		synctest.Wait()
		fresh := c.(Kicker).Kick()
		time.Sleep(600 * time.Millisecond) // it has ended
		synctest.Wait()
		select {
		case <-fresh:
			t.Error("answered by a run that was begun before")
		default:
		}
		<-fresh
		if len(results()) != 2 {
			t.Errorf("%d results", len(results()))
		}
	})
}

func TestAKickWaitsUntilThresholdsHideNothing(t *testing.T) {
	p := &scripted{find: func(int) model.Status { return model.StatusCritical }}
	def := model.CheckDefinition{Interval: 10 * time.Second, FailuresBeforeCritical: 3}
	inTime(t, Spec{Definition: def, Status: model.StatusPassing}, 9*time.Second, p, func(c Check, results func() []Result) {
		began := time.Now()
		<-c.(Kicker).Kick()
		if got := results()[len(results())-1]; got.Status != model.StatusCritical || len(results()) != 3 {
			t.Errorf("answered by %v", results())
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("took %v: it waited for the interval", took)
		}
	})
}

func TestAKickEndsWithItsCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, d := range []model.CheckDefinition{{TCP: "127.0.0.1:1", Interval: time.Hour}, {TTL: time.Hour}} {
			r := NewRunner(&Env{Random: func(n time.Duration) time.Duration { return n - 1 }})
			c, err := r.Prepare(Spec{Definition: d, Status: model.StatusPassing, Report: func(Result) {}})
			if err != nil {
				t.Fatal(err)
			}
			if d.TTL > 0 {
				c.Start()
			}
			fresh := c.Kick()
			if d.TTL == 0 {
				// Ended before its first run.
				r.Close()
				c.Start()
			}
			r.Close()
			<-fresh
			<-c.Kick()
		}
	})
}

func TestTTLExpiresUnlessItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var results []Result
		c, err := newTTL(Spec{Definition: model.CheckDefinition{TTL: 10 * time.Second}, Report: func(r Result) { results = append(results, r) }}, testEnv())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go c.Run(ctx)
		for range 5 {
			time.Sleep(9 * time.Second)
			synctest.Wait()
			c.(Updater).Update(Result{Status: model.StatusPassing, Output: "fine"})
		}
		if len(results) != 5 {
			t.Fatalf("expired although it was told: %v", results)
		}
		fresh := c.(Kicker).Kick()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		<-fresh
		wantResult(t, results[5], model.StatusCritical, "TTL expired (last output before timeout follows): fine")
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(results) != 6 {
			t.Errorf("expired again: %v", results)
		}
		c.(Updater).Update(Result{Status: model.StatusWarning})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		wantResult(t, results[7], model.StatusCritical, "TTL expired")
		cancel()
		synctest.Wait()
	})
}

func TestARestoredTTLGoesOnWithTheTimeItHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at time.Time
		c, _ := newTTL(Spec{Definition: model.CheckDefinition{TTL: time.Minute}, Expires: time.Now().Add(5 * time.Second),
			Report: func(Result) { at = time.Now() }}, testEnv())
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		go c.Run(ctx)
		time.Sleep(time.Minute)
		synctest.Wait()
		if at.Sub(began) != 5*time.Second {
			t.Errorf("expired after %v", at.Sub(began))
		}
		cancel()
		synctest.Wait()
	})
}
