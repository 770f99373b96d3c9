// The program that measures the store: the works that `bench` asks for, each as its counterpart for the other
// stores does it, and whether the store gave back what it was given. `bench` builds and starts it, and reads
// what it prints; what cannot be right it says on the error output, and exits with 1.
package main

import (
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Records in a page.
const page = 1000

var (
	work       = flag.String("work", "put", "put, get-records or register")
	prebuilt   = flag.Bool("prebuilt", false, "make the records before they are put")
	eachCall   = flag.Bool("each-call", false, "time each call")
	writers    = flag.Int("writers", 1, "threads that are measured")
	readers    = flag.Int("readers", 0, "threads that read meanwhile")
	operations = flag.Int("operations", 1000, "operations of each thread at the most")
	retain     = flag.Int("retain", 1000, "records to read from")
	limit      = flag.Duration("limit", 400*time.Millisecond, "no thread begins anything after this time")
	chunk      = flag.Int("chunk", 2048, "operations between two looks at the clock")
)

func main() {
	flag.Parse()
	switch *work {
	case "put":
		put()
	case "get-records":
		getRecords()
	case "register":
		register()
	default:
		fail("there is no work called %q", *work)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

// What a host hands over when it enables a stream now.
func infoOf(table string) *StreamInfo {
	now := time.Now().UTC()
	label := now.Format("2006-01-02T15:04:05.000")
	return &StreamInfo{
		StreamARN:      "arn:aws:dynamodb:us-east-1:000000000000:table/" + table + "/stream/" + label,
		TableName:      table,
		StreamViewType: "NEW_AND_OLD_IMAGES",
		StreamLabel:    label,
		StreamStatus:   "ENABLED",
		KeySchema:      []KeySchemaElement{{"customer", "HASH"}, {"order", "RANGE"}},
		CreationTime:   now,
	}
}

// An item of two keys and eight attributes; the keys alone, and the bytes of both.
func item(id int) (image, keys map[string]*AttributeValue, size int64) {
	text := func(value string) *string { return &value }
	customer := &AttributeValue{S: text(fmt.Sprintf("customer-%d", id%100))}
	order := &AttributeValue{N: text(fmt.Sprint(id))}
	keys = map[string]*AttributeValue{"customer": customer, "order": order}
	image = map[string]*AttributeValue{"customer": customer, "order": order}
	for n := 0; n < 8; n++ {
		value := fmt.Sprintf("the value of attribute %d of order %d", n, id)
		image[fmt.Sprintf("attribute%d", n)] = &AttributeValue{S: &value}
		size += int64(len("attribute0") + len(value))
	}
	return image, keys, size
}

// What a host hands over: all fields that the store does not set.
func mould(stream *StreamInfo) *StreamRecord {
	before, _, sizeBefore := item(0)
	after, keys, sizeAfter := item(1)
	return &StreamRecord{
		EventID:        "0123456789abcdef0123456789abcdef",
		EventName:      "MODIFY",
		AwsRegion:      "us-east-1",
		StreamViewType: "NEW_AND_OLD_IMAGES",
		TableName:      stream.TableName,
		StreamARN:      stream.StreamARN,
		Keys:           keys,
		NewImage:       after,
		OldImage:       before,
		SizeBytes:      sizeBefore + sizeAfter,
	}
}

func storeOf(stream *StreamInfo) *Store {
	store := NewStore()
	store.RegisterStream(stream)
	return store
}

func built(mould *StreamRecord) *StreamRecord {
	record := *mould
	return &record
}

func put() {
	stream := infoOf("Table000000")
	mould := mould(stream)
	store := storeOf(stream)
	prepare := func(int) func(int) {
		// It keeps every record, so memory is used before by another store.
		other := storeOf(stream)
		for n := 0; n < *operations; n++ {
			other.PutRecord(built(mould))
		}
		if !*prebuilt {
			return func(int) { store.PutRecord(built(mould)) }
		}
		records := make([]*StreamRecord, *operations)
		for n := range records {
			records[n] = built(mould)
		}
		return func(number int) { store.PutRecord(records[number]) }
	}
	read := func(isOpen func() bool) (did reading) {
		var sum int64
		for from := 0; isOpen(); {
			records, next := store.GetRecords(mould.StreamARN, shardID, from, page)
			for _, record := range records {
				sum ^= record.CreatedAt.UnixMilli()
			}
			did.saw(records)
			from = next
			if len(records) == 0 {
				from = 0
			}
		}
		sink.Store(sum)
		return did
	}
	done := measure(*writers, 1, prepare, read)
	check(store, mould.StreamARN, done)
}

func getRecords() {
	stream := infoOf("Table000000")
	mould := mould(stream)
	store := storeOf(stream)
	all := *retain - *retain%page
	for n := 0; n < all; n++ {
		store.PutRecord(built(mould))
	}
	check(store, mould.StreamARN, all)
	var seen int64
	prepare := func(int) func(int) {
		return func(number int) {
			var sum int64
			records, _ := store.GetRecords(mould.StreamARN, shardID, number%all, page)
			for _, record := range records {
				sum += record.CreatedAt.UnixMilli()
			}
			sink.Store(sum)
			atomic.AddInt64(&seen, int64(len(records)))
		}
	}
	*operations -= *operations % page
	done := measure(*writers, page, prepare, nil)
	if int(seen) != done {
		fail("%d records were asked for, and %d were read", done, seen)
	}
}

func register() {
	store := NewStore()
	prepare := func(int) func(int) {
		return func(number int) { store.RegisterStream(infoOf(fmt.Sprintf("Table%06d", number))) }
	}
	done := measure(1, 1, prepare, nil)
	if len(store.streams) != done {
		fail("%d streams were registered, and there are %d", done, len(store.streams))
	}
}

// Keeps the compiler from leaving out what is read.
var sink atomic.Int64

// Whether the store gives back what it was given, each record once and in order.
func check(store *Store, arn string, put int) {
	count := 0
	for {
		records, next := store.GetRecords(arn, shardID, count, page)
		if len(records) == 0 {
			break
		}
		for n, record := range records {
			if record.SequenceNumber != sequenceNumber(uint64(count+n+1)) || record.EventVersion != "1.1" {
				fail("at position %d is the record of number %q", count+n, record.SequenceNumber)
			}
		}
		count = next
	}
	if count != put {
		fail("%d records were put, and %d are counted", put, count)
	}
}
