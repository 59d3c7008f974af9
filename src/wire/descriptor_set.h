/* descriptor_set.h -- the contract's description of itself: a google.protobuf.FileDescriptorSet of
 * all its .proto files, without comments, each behind the files that it imports. protoc makes it
 * at build time (proto/meson.build). */
#ifndef OSR_WIRE_DESCRIPTOR_SET_H
#define OSR_WIRE_DESCRIPTOR_SET_H

#include "base/bytes.h"

struct osr_slice osr_descriptor_set(void);

#endif
