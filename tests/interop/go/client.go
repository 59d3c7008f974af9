package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	largeRequest  = 271828
	largeResponse = 314159
	wait          = 30 * time.Second // for any call that should not need its own time-out
)

var (
	requestSizes  = []int{27182, 8, 1828, 45904}
	responseSizes = []int{31415, 9, 2653, 58979}
	gzipped       = grpc.UseCompressor("gzip")
)

func fail(format string, arguments ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func expectCode(err error, code codes.Code) *status.Status {
	got := status.Convert(err)
	if got.Code() != code {
		fail("%v instead of %v: %s", got.Code(), code, got.Message())
	}
	return got
}

func expectEnd(err error) {
	if err != io.EOF {
		fail("not the stream's end: %v", err)
	}
}

func expectSize(got *Payload, size int) {
	if len(got.GetBody()) != size {
		fail("a payload of %d instead of %d bytes", len(got.GetBody()), size)
	}
}

func expectCompressed(last *arrival, wanted bool) {
	if last.wasCompressed != wanted {
		fail("compressed: %v instead of %v", last.wasCompressed, wanted)
	}
}

func yesOrNo(value bool) *BoolValue { return &BoolValue{Value: value} }

func simpleRequest() *SimpleRequest {
	return &SimpleRequest{Payload: payload(largeRequest), ResponseSize: largeResponse}
}

func outputRequest(requestSize int, sizes ...int) *StreamingOutputCallRequest {
	request := &StreamingOutputCallRequest{Payload: payload(requestSize)}
	for _, size := range sizes {
		request.ResponseParameters = append(request.ResponseParameters,
			&ResponseParameters{Size: int32(size)})
	}
	return request
}

func connect(address string, options ...grpc.DialOption) *grpc.ClientConn {
	options = append(options, grpc.WithInsecure(), grpc.WithStatsHandler(arrivalHandler{}))
	connection, err := grpc.Dial(address, options...)
	must(err)
	return connection
}

func patience() context.Context {
	ctx, _ := context.WithTimeout(context.Background(), wait)
	return ctx
}

type client struct {
	TestServiceClient
	address string
}

func (c *client) emptyUnary() {
	_, err := c.EmptyCall(patience(), &Empty{})
	must(err)
}

func (c *client) largeUnary() {
	answer, err := c.UnaryCall(patience(), simpleRequest())
	must(err)
	expectSize(answer.Payload, largeResponse)
}

func (c *client) clientCompressedUnary() {
	request := simpleRequest()
	request.ExpectCompressed = yesOrNo(true)
	_, err := c.UnaryCall(patience(), request)
	expectCode(err, codes.InvalidArgument)
	answer, err := c.UnaryCall(patience(), request, gzipped)
	must(err)
	expectSize(answer.Payload, largeResponse)
	request.ExpectCompressed = yesOrNo(false)
	answer, err = c.UnaryCall(patience(), request)
	must(err)
	expectSize(answer.Payload, largeResponse)
}

// grpc-go says that it takes gzip only in calls that use it.
func (c *client) serverCompressedUnary() {
	for _, wanted := range []bool{true, false} {
		request := simpleRequest()
		request.ResponseCompressed = yesOrNo(wanted)
		ctx, last := withArrival(patience())
		answer, err := c.UnaryCall(ctx, request, gzipped)
		must(err)
		expectSize(answer.Payload, largeResponse)
		expectCompressed(last, wanted)
	}
}

func (c *client) gzipBothWays() {
	request := simpleRequest()
	request.ExpectCompressed = yesOrNo(true)
	request.ResponseCompressed = yesOrNo(true)
	ctx, last := withArrival(patience())
	answer, err := c.UnaryCall(ctx, request, gzipped)
	must(err)
	expectSize(answer.Payload, largeResponse)
	expectCompressed(last, true)
}

func (c *client) clientStreaming() {
	stream, err := c.StreamingInputCall(patience())
	must(err)
	total := 0
	for _, size := range requestSizes {
		must(stream.Send(&StreamingInputCallRequest{Payload: payload(size)}))
		total += size
	}
	answer, err := stream.CloseAndRecv()
	must(err)
	if int(answer.AggregatedPayloadSize) != total {
		fail("%d bytes instead of %d", answer.AggregatedPayloadSize, total)
	}
}

func (c *client) serverStreaming() {
	stream, err := c.StreamingOutputCall(patience(), outputRequest(0, responseSizes...))
	must(err)
	for _, size := range responseSizes {
		answer, err := stream.Recv()
		must(err)
		expectSize(answer.Payload, size)
	}
	_, err = stream.Recv()
	expectEnd(err)
}

func (c *client) serverCompressedStreaming() {
	request := outputRequest(0, 31415, 92653)
	request.ResponseParameters[0].Compressed = yesOrNo(true)
	request.ResponseParameters[1].Compressed = yesOrNo(false)
	ctx, last := withArrival(patience())
	stream, err := c.StreamingOutputCall(ctx, request, gzipped)
	must(err)
	for _, wanted := range request.ResponseParameters {
		answer, err := stream.Recv()
		must(err)
		expectSize(answer.Payload, int(wanted.Size))
		expectCompressed(last, wanted.Compressed.Value)
	}
	_, err = stream.Recv()
	expectEnd(err)
}

func (c *client) pingPong() {
	stream, err := c.FullDuplexCall(patience())
	must(err)
	for i, size := range requestSizes {
		must(stream.Send(outputRequest(size, responseSizes[i])))
		answer, err := stream.Recv()
		must(err)
		expectSize(answer.Payload, responseSizes[i])
	}
	must(stream.CloseSend())
	_, err = stream.Recv()
	expectEnd(err)
}

func (c *client) emptyStream() {
	stream, err := c.FullDuplexCall(patience())
	must(err)
	must(stream.CloseSend())
	_, err = stream.Recv()
	expectEnd(err)
}

func expectMetadata(header, trailer metadata.MD) {
	initial := header["x-grpc-test-echo-initial"]
	if len(initial) != 1 || initial[0] != "test_initial_metadata_value" {
		fail("initial metadata: %v", header)
	}
	trailing := trailer["x-grpc-test-echo-trailing-bin"]
	if len(trailing) != 1 || !bytes.Equal([]byte(trailing[0]), []byte{0xab, 0xab, 0xab}) {
		fail("trailing metadata: %v", trailer)
	}
}

func (c *client) customMetadata() {
	ctx := metadata.AppendToOutgoingContext(patience(),
		"x-grpc-test-echo-initial", "test_initial_metadata_value",
		"x-grpc-test-echo-trailing-bin", "\xab\xab\xab")
	var header, trailer metadata.MD
	answer, err := c.UnaryCall(ctx, simpleRequest(), grpc.Header(&header), grpc.Trailer(&trailer))
	must(err)
	expectSize(answer.Payload, largeResponse)
	expectMetadata(header, trailer)
	stream, err := c.FullDuplexCall(ctx)
	must(err)
	must(stream.Send(outputRequest(largeRequest, largeResponse)))
	must(stream.CloseSend())
	header, err = stream.Header()
	must(err)
	_, err = stream.Recv()
	must(err)
	_, err = stream.Recv()
	expectEnd(err)
	expectMetadata(header, stream.Trailer())
}

func expectMessage(err error, text string) {
	if got := expectCode(err, codes.Unknown); got.Message() != text {
		fail("%q instead of %q", got.Message(), text)
	}
}

func (c *client) statusCodeAndMessage() {
	wanted := &EchoStatus{Code: int32(codes.Unknown), Message: "test status message"}
	_, err := c.UnaryCall(patience(), &SimpleRequest{ResponseStatus: wanted})
	expectMessage(err, wanted.Message)
	stream, err := c.FullDuplexCall(patience())
	must(err)
	must(stream.Send(&StreamingOutputCallRequest{ResponseStatus: wanted}))
	must(stream.CloseSend())
	_, err = stream.Recv()
	expectMessage(err, wanted.Message)
}

func (c *client) specialStatusMessage() {
	wanted := &EchoStatus{Code: int32(codes.Unknown),
		Message: "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"}
	_, err := c.UnaryCall(patience(), &SimpleRequest{ResponseStatus: wanted})
	expectMessage(err, wanted.Message)
}

func (c *client) unimplementedMethod() {
	_, err := c.UnimplementedCall(patience(), &Empty{})
	expectCode(err, codes.Unimplemented)
}

func (c *client) unimplementedService() {
	_, err := NewUnimplementedServiceClient(connect(c.address)).UnimplementedCall(patience(), &Empty{})
	expectCode(err, codes.Unimplemented)
}

func (c *client) cancelAfterBegin() {
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := c.StreamingInputCall(ctx)
	must(err)
	cancel()
	_, err = stream.CloseAndRecv()
	expectCode(err, codes.Canceled)
	c.emptyUnary() // the connection has not suffered
}

func (c *client) cancelAfterFirstResponse() {
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := c.FullDuplexCall(ctx)
	must(err)
	must(stream.Send(outputRequest(requestSizes[0], responseSizes[0])))
	answer, err := stream.Recv()
	must(err)
	expectSize(answer.Payload, responseSizes[0])
	cancel()
	_, err = stream.Recv()
	expectCode(err, codes.Canceled)
	c.emptyUnary()
}

func (c *client) timeoutOnSleepingServer() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	stream, err := c.FullDuplexCall(ctx)
	if err == nil {
		if err = stream.Send(outputRequest(requestSizes[0])); err == nil || err == io.EOF {
			_, err = stream.Recv()
		}
	}
	expectCode(err, codes.DeadlineExceeded)
}

func (c *client) deadlineAfterFirstResponse() {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	stream, err := c.FullDuplexCall(ctx)
	must(err)
	must(stream.Send(outputRequest(0, 1)))
	_, err = stream.Recv()
	must(err)
	_, err = stream.Recv()
	expectCode(err, codes.DeadlineExceeded)
}

func (c *client) oversizeRequest() {
	_, err := c.UnaryCall(patience(), &SimpleRequest{Payload: payload(messageBytesMax + 1)})
	expectCode(err, codes.ResourceExhausted)
	c.largeUnary()
}

func (c *client) oversizeResponse() {
	_, err := c.UnaryCall(patience(), &SimpleRequest{ResponseSize: messageBytesMax + 1})
	expectCode(err, codes.ResourceExhausted)
	c.largeUnary()
}

func (c *client) tenMegabytes() {
	answer, err := c.UnaryCall(patience(), &SimpleRequest{ResponseSize: 10 * mebibyte},
		grpc.MaxCallRecvMsgSize(11*mebibyte))
	must(err)
	expectSize(answer.Payload, 10*mebibyte)
}

func (c *client) slowReader() {
	sizes := make([]int, 10)
	for i := range sizes {
		sizes[i] = mebibyte
	}
	stream, err := c.StreamingOutputCall(patience(), outputRequest(0, sizes...))
	must(err)
	for _, size := range sizes {
		answer, err := stream.Recv()
		must(err)
		expectSize(answer.Payload, size)
		time.Sleep(30 * time.Millisecond)
		c.emptyUnary() // other calls of the connection go on
	}
	_, err = stream.Recv()
	expectEnd(err)
}

// grpc-go repeats a call that was surely not begun once by itself; the second time it says so.
func callUntilBegun(service TestServiceClient) {
	const notBegun = "the connection is draining"
	request := &SimpleRequest{ResponseSize: largeResponse}
	for {
		answer, err := service.UnaryCall(patience(), request, grpc.WaitForReady(true))
		if got := status.Convert(err); got.Code() == codes.Unavailable && got.Message() == notBegun {
			continue
		}
		must(err)
		expectSize(answer.Payload, largeResponse)
		return
	}
}

// The server ends the connection after every few calls: none may fail. Requests are small, as
// grpc-go repeats none of over 256 KiB; windows are fixed, as it (1.33) forgets to tell streams
// that are just being opened that it has enlarged them, and then resets them with
// FLOW_CONTROL_ERROR.
func (c *client) goawayUnderLoad() {
	other := NewTestServiceClient(connect(c.address,
		grpc.WithInitialWindowSize(mebibyte), grpc.WithInitialConnWindowSize(mebibyte)))
	var group sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := 0; i < 25; i++ {
				callUntilBegun(other)
			}
		}()
	}
	group.Wait()
}

// grpc-go sends no PING more often than every 10 s: it is the server's PINGs that are tried here.
func (c *client) keepalive() {
	other := &client{NewTestServiceClient(connect(c.address, grpc.WithKeepaliveParams(
		keepalive.ClientParameters{Time: 10 * time.Second, PermitWithoutStream: true}))), c.address}
	request := outputRequest(0, 1, 1)
	for _, wanted := range request.ResponseParameters {
		wanted.IntervalUs = 700 * 1000
	}
	stream, err := other.StreamingOutputCall(patience(), request)
	must(err)
	for range request.ResponseParameters {
		_, err = stream.Recv()
		must(err)
	}
	_, err = stream.Recv()
	expectEnd(err)
	time.Sleep(time.Second)
	other.emptyUnary()
}

var cases = map[string]func(*client){
	"empty_unary":                   (*client).emptyUnary,
	"large_unary":                   (*client).largeUnary,
	"client_compressed_unary":       (*client).clientCompressedUnary,
	"server_compressed_unary":       (*client).serverCompressedUnary,
	"client_streaming":              (*client).clientStreaming,
	"server_streaming":              (*client).serverStreaming,
	"server_compressed_streaming":   (*client).serverCompressedStreaming,
	"ping_pong":                     (*client).pingPong,
	"empty_stream":                  (*client).emptyStream,
	"custom_metadata":               (*client).customMetadata,
	"status_code_and_message":       (*client).statusCodeAndMessage,
	"special_status_message":        (*client).specialStatusMessage,
	"unimplemented_method":          (*client).unimplementedMethod,
	"unimplemented_service":         (*client).unimplementedService,
	"cancel_after_begin":            (*client).cancelAfterBegin,
	"cancel_after_first_response":   (*client).cancelAfterFirstResponse,
	"timeout_on_sleeping_server":    (*client).timeoutOnSleepingServer,
	"deadline_after_first_response": (*client).deadlineAfterFirstResponse,
	"oversize_request":              (*client).oversizeRequest,
	"oversize_response":             (*client).oversizeResponse,
	"gzip_both_ways":                (*client).gzipBothWays,
	"ten_megabytes":                 (*client).tenMegabytes,
	"slow_reader":                   (*client).slowReader,
	"goaway_under_load":             (*client).goawayUnderLoad,
	"keepalive":                     (*client).keepalive,
}

// grpc-go 1.33 widens the windows of its streams as it measures the connection. A stream that begins
// in that moment is given the narrow window while its peer is told of the wide one, and is then reset
// for having been sent too much (updateFlowControl looks only at streams that newStream's hand-over
// has reached). A large answer right behind another runs into that; with a window of its own choice
// it measures nothing.
func windowOf(name string) []grpc.DialOption {
	if name != "oversize_response" {
		return nil
	}
	return []grpc.DialOption{grpc.WithInitialWindowSize(mebibyte), grpc.WithInitialConnWindowSize(mebibyte)}
}

func runClient(name, address string) {
	if name == "client_compressed_streaming" {
		fmt.Println("grpc-go compresses all messages of a call or none")
		os.Exit(exitCannot)
	}
	run, ok := cases[name]
	if !ok {
		fail("there is no case '%s'", name)
	}
	run(&client{NewTestServiceClient(connect(address, windowOf(name)...)), address})
}
