// Package hourlog writes to, replays and follows the logs of Hourlog over NATS.
//
// Requests, replies and times are those of the protocol page of Hourlog; this package adds names and types, and no rules.
package hourlog

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// The time for a reply, if the context has no deadline.
	timeout = 5 * time.Second
	// The time that an append may take on top of it.
	appendTime = 25 * time.Second
	// The time for which the service holds a request at the end of a log.
	wait = 5 * time.Second
	// The first and the longest pause before a follower asks again after a passing fault.
	firstPause, longestPause = 50 * time.Millisecond, 2 * time.Second
)

// Client is the service, over a connection to NATS.
type Client struct {
	// Conn is the connection. Its owner closes it.
	Conn *nats.Conn
	// Prefix is that of the service's subjects.
	Prefix string
}

// New returns a client of the service that answers below the default prefix.
func New(connection *nats.Conn) *Client { return &Client{Conn: connection, Prefix: "hourlog"} }

// Record is what is written: data, metadata, and its own time if it has one.
type Record struct {
	Data     []byte
	Metadata map[string][]string
	Time     time.Time
	// MessageID lets an append be sent again within two minutes, and be stored once.
	MessageID string
}

// Publish sends a record, and returns once the stream has it. The archive has it a moment later.
func (c *Client) Publish(ctx context.Context, log string, record Record) error {
	reply, err := c.request(ctx, "log."+log, record.message(), timeout)
	if err != nil {
		return err
	}
	var answer struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := decode(reply.Data, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		failed := errorf(ErrUnavailable, "the stream does not take the event: %s", answer.Error.Description)
		failed.Sent = "no"
		return failed
	}
	return nil
}

// Append writes a record, and returns its position once the archive has it.
func (c *Client) Append(ctx context.Context, log string, record Record) (Position, error) {
	var answer struct {
		Position Position `json:"position"`
	}
	err := c.ask(ctx, "append."+log, record.message(), timeout+appendTime, &answer)
	return answer.Position, err
}

// Page reads one page of a log.
func (c *Client) Page(ctx context.Context, log string, query Query) (*Page, error) {
	return c.page(ctx, "replay."+log, query)
}

// Replay yields the events of a log, page by page, up to the bound or the end. Limit counts for all pages. An error is the
// last that is yielded.
func (c *Client) Replay(ctx context.Context, log string, query Query) iter.Seq2[Event, error] {
	return c.pages(ctx, "replay."+log, query)
}

// Merge yields the events of all logs below a prefix, or of all logs if it is empty, in one timeline.
func (c *Client) Merge(ctx context.Context, prefix string, query Query) iter.Seq2[Event, error] {
	return c.pages(ctx, below("merge", prefix), query)
}

// Follow yields pages in arrival order, after a cursor or from the start if it is empty, without end: every event once, however
// late. Store the Next of a page after your work, with SetCursor, to go on there. An outage is waited for once the service has
// answered.
func (c *Client) Follow(ctx context.Context, log, after string, query Query) iter.Seq2[*Page, error] {
	query.Order = "arrival"
	return func(yield func(*Page, error) bool) {
		// Each use of the iterator begins again.
		after, query := after, query
		answered, pause := false, firstPause
		for {
			if after != "" {
				query.After, query.From = after, ""
			}
			page, err := c.Page(ctx, log, query)
			passes := errors.Is(err, ErrRefused) || answered && (errors.Is(err, ErrUnavailable) || errors.Is(err, ErrDeadline))
			if err != nil && passes && ctx.Err() == nil && !c.Conn.IsClosed() {
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
				pause = min(2*pause, longestPause)
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			answered, pause = true, firstPause
			if page.Next != "" {
				after = page.Next
			}
			if page.IsLast() {
				query.Wait = wait.String()
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// Describe reads what is known of a log into description, a pointer to a map or a struct.
func (c *Client) Describe(ctx context.Context, log string, description any) error {
	return c.ask(ctx, "describe."+log, &nats.Msg{}, timeout, description)
}

// Event returns the event at a position.
func (c *Client) Event(ctx context.Context, log string, position Position) (Event, error) {
	var page Page
	if err := c.json(ctx, "replay."+log, map[string]any{"position": position}, &page); err != nil {
		return Event{}, err
	}
	if len(page.Events) == 0 {
		return Event{}, &Error{Kind: ErrUnexpected, Message: "the reply holds no event"}
	}
	return page.Events[0], nil
}

// Near finds what is around a moment of a log. Request and reply are those of the protocol.
func (c *Client) Near(ctx context.Context, log string, request, reply any) error {
	return c.json(ctx, "near."+log, request, reply)
}

// Newest returns the newest events of many logs below a prefix, or of all logs if it is empty.
func (c *Client) Newest(ctx context.Context, prefix string, request, reply any) error {
	return c.json(ctx, below("newest", prefix), request, reply)
}

// Timeline counts the events of a log by time. Request and reply are those of the protocol.
func (c *Client) Timeline(ctx context.Context, log string, request, reply any) error {
	return c.json(ctx, "timeline."+log, request, reply)
}

// Timelines does so for all logs below a prefix, or for all logs if it is empty.
func (c *Client) Timelines(ctx context.Context, prefix string, request, reply any) error {
	return c.json(ctx, below("timelines", prefix), request, reply)
}

// Logs lists logs. Request and reply are those of the protocol.
func (c *Client) Logs(ctx context.Context, request, reply any) error {
	return c.json(ctx, "logs", request, reply)
}

// Cursor returns the cursor that a reader has stored under a name; empty if there is none.
func (c *Client) Cursor(ctx context.Context, log, name string) (string, error) {
	var answer struct {
		Cursor string `json:"cursor"`
	}
	err := c.json(ctx, "cursor.get."+log, map[string]any{"name": name}, &answer)
	return answer.Cursor, err
}

// SetCursor stores a cursor. It returns false if a later one is stored, which then stays.
func (c *Client) SetCursor(ctx context.Context, log, name, cursor string) (bool, error) {
	var answer struct {
		Stored bool `json:"stored"`
	}
	err := c.json(ctx, "cursor.set."+log, map[string]any{"name": name, "cursor": cursor}, &answer)
	return answer.Stored, err
}

// DeleteCursor deletes a cursor. It returns false if there was none.
func (c *Client) DeleteCursor(ctx context.Context, log, name string) (bool, error) {
	var answer struct {
		Deleted bool `json:"deleted"`
	}
	err := c.json(ctx, "cursor.delete."+log, map[string]any{"name": name}, &answer)
	return answer.Deleted, err
}

func below(verb, prefix string) string {
	if prefix == "" {
		return verb
	}
	return verb + "." + prefix
}

func (c *Client) pages(ctx context.Context, subject string, query Query) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		// Each use of the iterator begins again.
		query := query
		left, isLimited := query.Limit, query.Limit > 0
		for !isLimited || left > 0 {
			query.Limit = left
			page, err := c.page(ctx, subject, query)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, event := range page.Events {
				if !yield(event, nil) {
					return
				}
			}
			if page.IsLast() || page.Next == "" {
				return
			}
			if isLimited {
				left -= len(page.Events)
			}
			query.After, query.Seek, query.Fresh, query.Wait = page.Next, false, false, ""
			// A word such as last may be another time by now, and the place is past it.
			if query.Reverse {
				query.To = ""
			} else {
				query.From = ""
			}
		}
	}
}

func (c *Client) page(ctx context.Context, subject string, query Query) (*Page, error) {
	limit := timeout
	if held, err := time.ParseDuration(query.Wait); err == nil {
		limit += held
	}
	body, err := json.Marshal(query)
	if err != nil {
		return nil, err
	}
	page := &Page{}
	return page, c.ask(ctx, subject, &nats.Msg{Data: body}, limit, page)
}

func (c *Client) json(ctx context.Context, subject string, request, reply any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	return c.ask(ctx, subject, &nats.Msg{Data: body}, timeout, reply)
}

// ask sends a request to the service, and reads its reply.
func (c *Client) ask(ctx context.Context, subject string, message *nats.Msg, limit time.Duration, answer any) error {
	reply, err := c.request(ctx, c.Prefix+"."+subject, message, limit)
	if err != nil {
		return err
	}
	if code := reply.Header.Get("Nats-Service-Error-Code"); code != "" {
		kind, isKnown := kinds[code]
		if !isKnown {
			kind = ErrUnexpected
		}
		return &Error{Kind: kind, Message: reply.Header.Get("Nats-Service-Error"), Sent: reply.Header.Get("Hourlog-Sent")}
	}
	return decode(reply.Data, answer)
}

func (c *Client) request(ctx context.Context, subject string, message *nats.Msg, limit time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	message.Subject = subject
	reply, err := c.Conn.RequestMsgWithContext(ctx, message)
	switch {
	case err == nil:
		return reply, nil
	case errors.Is(err, nats.ErrNoResponders):
		return nil, errorf(ErrUnavailable, "nobody answers %s; start hourlogd on this NATS server", subject)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return nil, errorf(ErrDeadline, "no answer to %s within %s; try again", subject, limit)
	case errors.Is(err, nats.ErrBadSubject):
		return nil, errorf(ErrInvalid, "%q is not a subject; check the id", subject)
	case errors.Is(err, context.Canceled):
		return nil, err
	default:
		return nil, errorf(ErrUnavailable, "%s cannot be asked: %v", subject, err)
	}
}

func (r Record) message() *nats.Msg {
	message := &nats.Msg{Data: r.Data, Header: nats.Header{}}
	for name, values := range r.Metadata {
		message.Header[name] = values
	}
	if !r.Time.IsZero() {
		message.Header.Set("Hourlog-Time", At(r.Time))
	}
	if r.MessageID != "" {
		message.Header.Set("Nats-Msg-Id", r.MessageID)
	}
	return message
}

func decode(text []byte, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return errorf(ErrUnexpected, "the reply is not one of a service of this version: %v", err)
	}
	return nil
}
