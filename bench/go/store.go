// The store that streamcore replaces, in the language that it was written in: one RWMutex over a map of
// streams, each shard a slice of pointers to records, of which readers get copies.
//
// It stands for that design at its best, not for one package's code. Records have the fields of a DynamoDB
// stream record; images are maps that records share; a sequence number is formatted by hand, since
// fmt.Sprintf would take three times as long. Numbers are drawn under the lock, or the records would not be
// in their order. Nothing but the standard library, of Go 1.19 or later.
package main

import (
	"sync"
	"time"
)

// AttributeValue is one of DynamoDB's; the fields that are not its type are nil.
type AttributeValue struct {
	S    *string                    `json:"S,omitempty"`
	N    *string                    `json:"N,omitempty"`
	B    []byte                     `json:"B,omitempty"`
	SS   []string                   `json:"SS,omitempty"`
	NS   []string                   `json:"NS,omitempty"`
	BS   [][]byte                   `json:"BS,omitempty"`
	M    map[string]*AttributeValue `json:"M,omitempty"`
	L    []*AttributeValue          `json:"L,omitempty"`
	NULL *bool                      `json:"NULL,omitempty"`
	BOOL *bool                      `json:"BOOL,omitempty"`
}

// StreamRecord is a change of an item.
type StreamRecord struct {
	EventID        string
	EventName      string
	EventVersion   string
	EventSource    string
	AwsRegion      string
	StreamViewType string
	TableName      string
	StreamARN      string
	Keys           map[string]*AttributeValue
	NewImage       map[string]*AttributeValue
	OldImage       map[string]*AttributeValue
	SequenceNumber string
	CreatedAt      time.Time
	SizeBytes      int64
}

// KeySchemaElement is a part of a table's key.
type KeySchemaElement struct {
	AttributeName string
	KeyType       string
}

// StreamInfo describes a stream.
type StreamInfo struct {
	StreamARN      string
	TableName      string
	StreamViewType string
	StreamLabel    string
	StreamStatus   string
	KeySchema      []KeySchemaElement
	CreationTime   time.Time
}

type shard struct {
	id      string
	records []*StreamRecord
}

type stream struct {
	info   *StreamInfo
	shards []*shard
}

// Store holds all streams behind one lock.
type Store struct {
	mu      sync.RWMutex
	streams map[string]*stream
	last    uint64
}

const shardID = "shardId-000000000000"

// NewStore makes an empty store.
func NewStore() *Store {
	return &Store{streams: make(map[string]*stream)}
}

// RegisterStream adds a stream with one shard; nothing if it is there.
func (s *Store) RegisterStream(info *StreamInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.streams[info.StreamARN]; !known {
		s.streams[info.StreamARN] = &stream{info: info, shards: []*shard{{id: shardID}}}
	}
}

// PutRecord stores a record, with a number and a time.
func (s *Store) PutRecord(record *StreamRecord) {
	record.EventVersion = "1.1"
	record.EventSource = "aws:dynamodb"
	s.mu.Lock()
	defer s.mu.Unlock()
	stream, known := s.streams[record.StreamARN]
	if !known {
		return
	}
	s.last++
	record.SequenceNumber = sequenceNumber(s.last)
	record.CreatedAt = time.Now()
	shard := stream.shards[len(stream.shards)-1]
	shard.records = append(shard.records, record)
}

// GetRecords gives records from a position on, and the position behind them.
func (s *Store) GetRecords(arn, id string, position, limit int) ([]*StreamRecord, int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	stream, known := s.streams[arn]
	if !known {
		return nil, position
	}
	for _, shard := range stream.shards {
		if shard.id == id && position < len(shard.records) {
			end := len(shard.records)
			if end-position > limit {
				end = position + limit
			}
			return append([]*StreamRecord(nil), shard.records[position:end]...), end
		}
	}
	return nil, position
}

func sequenceNumber(number uint64) string {
	var digits [21]byte
	for at := len(digits) - 1; at >= 0; at-- {
		digits[at] = '0' + byte(number%10)
		number /= 10
	}
	return string(digits[:])
}
