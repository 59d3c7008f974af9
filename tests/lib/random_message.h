/* random_message.h -- messages of the contract with random fields, edge cases among them. */
#ifndef OSR_TESTS_RANDOM_MESSAGE_H
#define OSR_TESTS_RANDOM_MESSAGE_H

#include "base/random.h"
#include "wire/codec.h"

struct message_maker {
    struct osr_random random;
    struct osr_arena *arena;
};

ProtobufCMessage *random_message(struct message_maker *maker,
                                 const ProtobufCMessageDescriptor *descriptor);
/* With this body, one of the fields for which is_frame_body is true. */
Osr__Frame *random_frame(struct message_maker *maker, const ProtobufCFieldDescriptor *body);
bool is_frame_body(const ProtobufCFieldDescriptor *field);

#endif
