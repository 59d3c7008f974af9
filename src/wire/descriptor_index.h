/* descriptor_index.h -- finds files in a descriptor set (descriptor_set.h) by their names and by
 * what is defined in them. Private to the room. */
#ifndef OSR_WIRE_DESCRIPTOR_INDEX_H
#define OSR_WIRE_DESCRIPTOR_INDEX_H

#include "base/bytes.h"

enum { OSR_DESCRIBED_FILES_MAX = 64 }; /* in a set; ours has far fewer: asserted */

struct osr_described_file {
    const char *name;       /* "osiris/v1/knowledge.proto" */
    struct osr_slice bytes; /* a google.protobuf.FileDescriptorProto */
    const struct osr_described_file **imports;
    size_t import_count;
};

struct osr_descriptor_index;

/* The set is part of the program, so one that cannot be read is our own defect: asserted. */
struct osr_descriptor_index *osr_descriptor_index_create(struct osr_slice descriptor_set);
void osr_descriptor_index_destroy(struct osr_descriptor_index *index); /* NULL is a no-op */

/* NULL: no such file. */
const struct osr_described_file *osr_descriptor_index_file(const struct osr_descriptor_index *index,
                                                           const char *name);
/* The file that defines a service, method, message or enum, by its full name; NULL: none does. */
const struct osr_described_file *osr_descriptor_index_symbol(
    const struct osr_descriptor_index *index, const char *name);
/* Whether a message has this full name. */
bool osr_descriptor_index_has_message(const struct osr_descriptor_index *index, const char *name);
/* Full names of services, in the set's order. */
size_t osr_descriptor_index_service_count(const struct osr_descriptor_index *index);
const char *osr_descriptor_index_service(const struct osr_descriptor_index *index, size_t number);

/* The file, then all that it imports, also indirectly, each once. Returns how many. */
size_t osr_described_file_closure(
    const struct osr_described_file *file,
    const struct osr_described_file *ret_files[OSR_DESCRIBED_FILES_MAX]);

#endif
