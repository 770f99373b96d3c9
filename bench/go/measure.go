// Measuring: threads that begin together, each in a closed loop, and what `bench` keeps of that. Collector and
// scheduler are as Go sets them. A call's latency holds one reading of the clock, some 20 ns.
package main

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// What a reader did: the records that it saw, and the memory that its copies took.
type reading struct {
	records, allocations, bytes uint64
	end                         time.Duration
}

func (r *reading) saw(records []*StreamRecord) {
	r.records += uint64(len(records))
	r.bytes += uint64(cap(records)) * 8
	if len(records) > 0 {
		r.allocations++
	}
}

// What a writer did.
type writing struct {
	from, to time.Duration
	done     int
	latency  histogram
}

// Measures writers, whose steps do so many operations each, and readers beside them; prints the measurement;
// says how many operations were done. All threads begin together.
func measure(count, stride int, prepare func(int) func(int), read func(func() bool) reading) int {
	var ready, atWork, watching sync.WaitGroup
	var busy atomic.Int64
	busy.Store(int64(count))
	start := make(chan struct{})
	began := time.Now()
	wrote, saw := make([]writing, count), make([]reading, *readers)
	ready.Add(count)
	for n := range wrote {
		atWork.Add(1)
		go func(n int) {
			defer atWork.Done()
			step := prepare(n)
			ready.Done()
			<-start
			wrote[n].work(began, stride, step)
			busy.Add(-1)
		}(n)
	}
	for n := range saw {
		watching.Add(1)
		go func(n int) {
			defer watching.Done()
			<-start
			saw[n] = read(func() bool { return busy.Load() > 0 })
			saw[n].end = time.Since(began)
		}(n)
	}
	ready.Wait()
	// What the warm-up left is garbage like any other: to collect it here would make the collector start again
	// with a small heap, and run five times where it else runs once.
	resident := residentBytes()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	faults, _ := usage()
	opened := time.Since(began)
	close(start)
	atWork.Wait()
	watching.Wait()
	runtime.ReadMemStats(&after)
	faultsAfter, peak := usage()
	m := measurement{
		allocations: after.Mallocs - before.Mallocs,
		allocated:   after.TotalAlloc - before.TotalAlloc,
		faults:      faultsAfter - faults,
		peak:        peak,
	}
	if *work == "register" {
		debug.FreeOSMemory()
		m.held = fmt.Sprint(residentBytes() - resident)
	}
	return m.print(wrote, saw, opened)
}

func (w *writing) work(began time.Time, stride int, step func(int)) {
	chunk := *chunk / stride * stride
	if chunk < stride {
		chunk = stride
	}
	w.from = time.Since(began)
	for w.done < *operations && time.Since(began) < w.from+*limit {
		until := w.done + chunk
		if until > *operations {
			until = *operations
		}
		for w.done < until {
			if *eachCall {
				called := time.Since(began)
				step(w.done)
				w.latency.record(time.Since(began) - called)
			} else {
				step(w.done)
			}
			w.done += stride
		}
	}
	w.to = time.Since(began)
}

// Nanoseconds in buckets that are exact to a hundredth.
type histogram [64 * 128]uint64

func (h *histogram) record(latency time.Duration) {
	shift := bits.Len64(uint64(latency) >> 8)
	h[shift*128+int(uint64(latency)>>shift)]++
}

// The largest value of a bucket.
func top(bucket int) uint64 {
	if bucket < 256 {
		return uint64(bucket)
	}
	shift := bucket/128 - 1
	return uint64(bucket-shift*128+1)<<shift - 1
}

type measurement struct {
	allocations, allocated uint64
	faults, peak           int64
	held                   string
}

// Prints what `bench` keeps of a measurement.
func (m *measurement) print(wrote []writing, saw []reading, opened time.Duration) int {
	first, last, done := wrote[0].from, wrote[0].to, 0
	var all histogram
	for _, w := range wrote {
		if w.from < first {
			first = w.from
		}
		if w.to > last {
			last = w.to
		}
		done += w.done
		for bucket, count := range w.latency {
			all[bucket] += count
		}
	}
	var records uint64
	var longest time.Duration
	for _, r := range saw {
		records += r.records
		m.allocations -= r.allocations
		m.allocated -= r.bytes
		if r.end-opened > longest {
			longest = r.end - opened
		}
	}
	readerNs, latencies := "null", "null"
	if records > 0 {
		readerNs = fmt.Sprint(float64(longest) / float64(records))
	}
	if *eachCall {
		var entries []string
		for bucket, count := range all {
			if count > 0 {
				entries = append(entries, fmt.Sprintf("[%d,%d]", top(bucket), count))
			}
		}
		latencies = "[" + strings.Join(entries, ",") + "]"
	}
	if m.held == "" {
		m.held = "null"
	}
	fmt.Printf(`{"ns":%v,"operations":%d,"reader_ns":%s,"latencies":%s,"allocations":%d,"allocated":%d,`,
		float64(last-first)/float64(done), done, readerNs, latencies, m.allocations, m.allocated)
	fmt.Printf(`"page_faults":%d,"peak_memory":%d,"held":%s,"link":null,"others":0}`+"\n", m.faults, m.peak, m.held)
	return done
}

// Page faults of this process, and the most memory that it ever had.
func usage() (faults, peak int64) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail("getrusage: %v", err)
	}
	return usage.Minflt + usage.Majflt, usage.Maxrss * 1024
}

// The memory that this process has now.
func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	var size, resident int64
	if _, scanned := fmt.Sscan(string(text), &size, &resident); err != nil || scanned != nil {
		fail("/proc/self/statm: %v, %v", err, scanned)
	}
	return resident * int64(os.Getpagesize())
}
