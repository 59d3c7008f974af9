// echo_server.cc -- the same service on gRPC C++, by its callback API.
//
// usage: echo_server_cpp PORT
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <string>

#include "echo.grpc.pb.h"

using osiris::bench::EchoMessage;

class EchoService final : public osiris::bench::Echo::CallbackService {
    grpc::ServerUnaryReactor *Call(grpc::CallbackServerContext *context, const EchoMessage *request,
                                   EchoMessage *response) override
    {
        response->set_text(request->text());
        auto *reactor = context->DefaultReactor();
        reactor->Finish(grpc::Status::OK);
        return reactor;
    }

    // Ten thousand copies of the request, as fast as they are taken.
    class Copies final : public grpc::ServerWriteReactor<EchoMessage> {
    public:
        explicit Copies(const EchoMessage &message) : message_(message) { StartWrite(&message_); }

        void OnWriteDone(bool ok) override
        {
            if (!ok || --left_ == 0) {
                Finish(grpc::Status::OK);
            } else {
                StartWrite(&message_);
            }
        }

        void OnDone() override { delete this; }

    private:
        EchoMessage message_;
        int left_ = 10000;
    };

    grpc::ServerWriteReactor<EchoMessage> *Stream(grpc::CallbackServerContext *context,
                                                  const EchoMessage *request) override
    {
        return new Copies(*request);
    }
};

int main(int argc, char **argv)
{
    if (argc != 2) {
        std::cerr << "usage: echo_server_cpp PORT\n";
        return 64;
    }
    EchoService service;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::string(argv[1]),
                             grpc::InsecureServerCredentials());
    builder.RegisterService(&service);
    auto server = builder.BuildAndStart();
    if (server == nullptr) {
        return 1;
    }
    server->Wait();
    return 0;
}
