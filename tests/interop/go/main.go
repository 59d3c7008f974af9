// The interoperability cases and grpc.testing.TestService by grpc-go.
//
// usage:
//
//	interop client CASE HOST:PORT
//	interop server [connection_age_ms=N] [streams_max=N]
//
// A client ends with 0 where the case passes, with 77 and a reason where grpc-go cannot do what it
// needs. A server prints "listening on tcp://127.0.0.1:PORT" and serves until SIGTERM.
package main

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/grpc/stats"
)

const (
	exitUsage       = 64
	exitCannot      = 77
	messageBytesMax = 4 << 20
	mebibyte        = 1 << 20
)

// arrival says how the last message of a call came. grpc-go tells only its sizes on the wire and
// after decompression; our payloads are zeros, which compress well.
type arrival struct{ wasCompressed bool }

type arrivalKey struct{}

func withArrival(ctx context.Context) (context.Context, *arrival) {
	last := &arrival{}
	return context.WithValue(ctx, arrivalKey{}, last), last
}

func arrivalOf(ctx context.Context) *arrival {
	last, _ := ctx.Value(arrivalKey{}).(*arrival)
	return last
}

type arrivalHandler struct{}

func (arrivalHandler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	if arrivalOf(ctx) == nil {
		ctx, _ = withArrival(ctx)
	}
	return ctx
}

func (arrivalHandler) HandleRPC(ctx context.Context, event stats.RPCStats) {
	if payload, ok := event.(*stats.InPayload); ok {
		arrivalOf(ctx).wasCompressed = payload.WireLength < payload.Length
	}
}

func (arrivalHandler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return ctx
}

func (arrivalHandler) HandleConn(context.Context, stats.ConnStats) {}

func payload(size int) *Payload {
	return &Payload{Body: make([]byte, size)}
}

func main() {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "client":
		runClient(os.Args[2], os.Args[3])
	case len(os.Args) >= 2 && os.Args[1] == "server":
		runServer(os.Args[2:])
	default:
		fmt.Fprintln(os.Stderr, "usage: interop client CASE HOST:PORT | server [NAME=NUMBER...]")
		os.Exit(exitUsage)
	}
}
