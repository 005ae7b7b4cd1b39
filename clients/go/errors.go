package hourlog

import (
	"errors"
	"fmt"
)

// Kinds of errors, one for each code of the service. Ask with errors.Is.
var (
	ErrInvalid     = errors.New("invalid")
	ErrNotAllowed  = errors.New("not allowed")
	ErrNotFound    = errors.New("not found")
	ErrTooLarge    = errors.New("too large")
	ErrRejected    = errors.New("rejected")
	ErrRefused     = errors.New("refused")
	ErrUnavailable = errors.New("unavailable")
	ErrDeadline    = errors.New("no answer in time")
	ErrUnexpected  = errors.New("unexpected")
	ErrClosed      = errors.New("closed")
)

var kinds = map[string]error{
	"400": ErrInvalid,
	"403": ErrNotAllowed,
	"404": ErrNotFound,
	"413": ErrTooLarge,
	"422": ErrRejected,
	"429": ErrRefused,
	"503": ErrUnavailable,
	"504": ErrDeadline,
}

// Error is an error of the service, with the sentence that says what to do.
type Error struct {
	// Kind is one of the Err values above.
	Kind error
	// Message says what is wrong, and what to do.
	Message string
	// Sent tells what has become of the record of an append: "no", "yes" or "unknown"; empty for any other request.
	Sent string
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the kind, for errors.Is.
func (e *Error) Unwrap() error { return e.Kind }

func errorf(kind error, format string, arguments ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, arguments...)}
}
