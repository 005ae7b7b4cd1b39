package hourlog

import (
	"context"
	"io"
	"time"
)

// Log is a handle to a log, with a place of its own. It begins at the first event, and is not for several goroutines at once.
type Log struct {
	client   *Client
	id       string
	place    Query
	ahead    []Event
	isClosed bool
}

// Seeked says where a seek has arrived: the next event, and how it relates to the time that was asked for. Reason is exact,
// next, before_first, after_last or expired.
type Seeked struct {
	Resolved *Position
	Reason   string
}

// Log returns a handle to a log.
func (c *Client) Log(id string) *Log { return &Log{client: c, id: id} }

// ID returns the log's id.
func (l *Log) ID() string { return l.id }

// Read returns the next event, or io.EOF at the end. Later events are read by the next call.
func (l *Log) Read(ctx context.Context) (Event, error) {
	if err := l.check(); err != nil {
		return Event{}, err
	}
	if len(l.ahead) == 0 {
		page, err := l.client.Page(ctx, l.id, l.place)
		if err != nil {
			return Event{}, err
		}
		l.ahead = page.Events
	}
	if len(l.ahead) == 0 {
		return Event{}, io.EOF
	}
	event := l.ahead[0]
	l.ahead = l.ahead[1:]
	l.place = Query{After: event.Position.String()}
	return event, nil
}

// Seek goes to the first event at or after a time.
func (l *Log) Seek(ctx context.Context, when time.Time) (Seeked, error) {
	if err := l.check(); err != nil {
		return Seeked{}, err
	}
	page, err := l.client.Page(ctx, l.id, Query{From: At(when), Limit: 1, Seek: true})
	if err != nil {
		return Seeked{}, err
	}
	l.place, l.ahead = Query{From: At(when)}, nil
	return Seeked{Resolved: page.Resolved, Reason: page.Reason}, nil
}

// Write writes a record, and returns its position once the archive has it.
func (l *Log) Write(ctx context.Context, record Record) (Position, error) {
	if err := l.check(); err != nil {
		return Position{}, err
	}
	position, err := l.client.Append(ctx, l.id, record)
	// The record may lie before what was read ahead.
	l.ahead = nil
	return position, err
}

// Close closes the handle. The connection stays open.
func (l *Log) Close() error {
	if err := l.check(); err != nil {
		return err
	}
	l.isClosed, l.ahead = true, nil
	return nil
}

func (l *Log) check() error {
	if l.isClosed {
		return errorf(ErrClosed, "the handle to %s is closed; open another", l.id)
	}
	return nil
}
