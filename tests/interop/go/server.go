package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	_ "google.golang.org/grpc/encoding/gzip"
)

// What it leaves out answers UNIMPLEMENTED.
type testServer struct{ UnimplementedTestServiceServer }

func echoMetadata(ctx context.Context) (header, trailer metadata.MD) {
	given, _ := metadata.FromIncomingContext(ctx)
	header, trailer = metadata.MD{}, metadata.MD{}
	header.Set("x-grpc-test-echo-initial", given["x-grpc-test-echo-initial"]...)
	trailer.Set("x-grpc-test-echo-trailing-bin", given["x-grpc-test-echo-trailing-bin"]...)
	return header, trailer
}

func checkCompression(ctx context.Context, expected *BoolValue) error {
	if expected != nil && expected.Value != arrivalOf(ctx).wasCompressed {
		return status.Error(codes.InvalidArgument, "compressed otherwise than said")
	}
	return nil
}

func asAsked(wanted *EchoStatus) error {
	if wanted == nil || wanted.Code == 0 {
		return nil
	}
	return status.Error(codes.Code(wanted.Code), wanted.Message)
}

func (*testServer) EmptyCall(context.Context, *Empty) (*Empty, error) {
	return &Empty{}, nil
}

func (*testServer) UnaryCall(ctx context.Context, request *SimpleRequest) (*SimpleResponse, error) {
	header, trailer := echoMetadata(ctx)
	grpc.SetHeader(ctx, header)
	grpc.SetTrailer(ctx, trailer)
	if err := checkCompression(ctx, request.ExpectCompressed); err != nil {
		return nil, err
	}
	if err := asAsked(request.ResponseStatus); err != nil {
		return nil, err
	}
	return &SimpleResponse{Payload: payload(int(request.ResponseSize))}, nil
}

type responseStream interface {
	Send(*StreamingOutputCallResponse) error
}

func respond(request *StreamingOutputCallRequest, stream responseStream) error {
	if err := asAsked(request.ResponseStatus); err != nil {
		return err
	}
	for _, wanted := range request.ResponseParameters {
		time.Sleep(time.Duration(wanted.IntervalUs) * time.Microsecond)
		response := &StreamingOutputCallResponse{Payload: payload(int(wanted.Size))}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
	return nil
}

func (*testServer) StreamingOutputCall(request *StreamingOutputCallRequest,
	stream TestService_StreamingOutputCallServer) error {
	return respond(request, stream)
}

func (*testServer) StreamingInputCall(stream TestService_StreamingInputCallServer) error {
	total := 0
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(
				&StreamingInputCallResponse{AggregatedPayloadSize: int32(total)})
		}
		if err != nil {
			return err
		}
		if err := checkCompression(stream.Context(), request.ExpectCompressed); err != nil {
			return err
		}
		total += len(request.GetPayload().GetBody())
	}
}

func (*testServer) FullDuplexCall(stream TestService_FullDuplexCallServer) error {
	header, trailer := echoMetadata(stream.Context())
	stream.SetHeader(header)
	stream.SetTrailer(trailer)
	for {
		request, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := respond(request, stream); err != nil {
			return err
		}
	}
}

func numbers(arguments []string) map[string]int {
	found := map[string]int{}
	for _, argument := range arguments {
		parts := strings.SplitN(argument, "=", 2)
		number, err := strconv.Atoi(parts[len(parts)-1])
		if err != nil {
			fmt.Fprintln(os.Stderr, argument, err)
			os.Exit(exitUsage)
		}
		found[parts[0]] = number
	}
	return found
}

func runServer(arguments []string) {
	options := []grpc.ServerOption{
		grpc.StatsHandler(arrivalHandler{}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: 10 * time.Millisecond, PermitWithoutStream: true}),
	}
	given := numbers(arguments)
	if age, ok := given["connection_age_ms"]; ok {
		options = append(options, grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge: time.Duration(age) * time.Millisecond}))
	}
	if streams, ok := given["streams_max"]; ok {
		options = append(options, grpc.MaxConcurrentStreams(uint32(streams)))
	}
	server := grpc.NewServer(options...)
	RegisterTestServiceServer(server, &testServer{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		server.Stop()
	}()
	fmt.Printf("listening on tcp://%s\n", listener.Addr())
	server.Serve(listener)
}
