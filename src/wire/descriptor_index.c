#include "wire/descriptor_index.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"
#include "descriptor.pb-c.h"
#include "wire/encoding.h"

enum { UNPACKED_BYTES_MAX = 8 << 20 }; /* of the set, while it is read; far more than needed */

struct osr_descriptor_index {
    struct osr_arena *arena; /* the set as it was read; the files' names and bytes are in it */
    struct osr_described_file files[OSR_DESCRIBED_FILES_MAX];
    size_t file_count;
    struct osr_map *messages; /* full name -> file */
    struct osr_map *others;   /* of services, methods and enums */
    char **services;
    size_t service_count;
};

/* What is at hand while a file is read. */
struct reading {
    struct osr_descriptor_index *index;
    struct osr_described_file *file;
    struct osr_buffer scope; /* full name of what the names at hand are in */
};

/* ---- reading the set ---- */

/* Into the scope and out of it again. */
static size_t enter(struct reading *reading, const char *name)
{
    size_t outer = reading->scope.size;
    if (outer > 0) {
        osr_buffer_add_u8(&reading->scope, '.');
    }
    osr_buffer_add_text(&reading->scope, name);
    return outer;
}
static void leave(struct reading *reading, size_t outer)
{
    reading->scope.size = outer;
}

static void define_scope(struct reading *reading, struct osr_map *map)
{
    osr_map_put(map, osr_buffer_slice(&reading->scope), reading->file);
}

static void read_named(struct reading *reading, OsirisInternal__Named *const *named, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t outer = enter(reading, named[i]->name);
        define_scope(reading, reading->index->others);
        leave(reading, outer);
    }
}

static void read_messages(struct reading *reading, OsirisInternal__MessageType *const *messages,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t outer = enter(reading, messages[i]->name);
        define_scope(reading, reading->index->messages);
        read_messages(reading, messages[i]->messages, messages[i]->n_messages);
        read_named(reading, messages[i]->enums, messages[i]->n_enums);
        leave(reading, outer);
    }
}

static void note_service(struct osr_descriptor_index *index, struct osr_slice name)
{
    char *copy = osr_format("%.*s", (int)name.size, (const char *)name.data);
    size_t count = ++index->service_count;
    index->services = osr_realloc(index->services, count * sizeof(index->services[0]));
    index->services[count - 1] = copy;
}

static void read_services(struct reading *reading, OsirisInternal__Service *const *services,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t outer = enter(reading, services[i]->name);
        define_scope(reading, reading->index->others);
        note_service(reading->index, osr_buffer_slice(&reading->scope));
        read_named(reading, services[i]->methods, services[i]->n_methods);
        leave(reading, outer);
    }
}

/* Imported files stand before those that import them. */
static void read_imports(struct reading *reading, char *const *names, size_t count)
{
    struct osr_described_file *file = reading->file;
    file->imports = osr_alloc((count + 1) * sizeof(file->imports[0]));
    file->import_count = count;
    for (size_t i = 0; i < count; i++) {
        file->imports[i] = osr_descriptor_index_file(reading->index, names[i]);
        assert(file->imports[i] != NULL);
    }
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *descriptor,
                                struct osr_slice bytes, struct osr_arena *arena)
{
    ProtobufCMessage *message = NULL;
    int code = osr_protobuf_decode(descriptor, bytes, arena, &message, NULL);
    assert(code == 0);
    return message;
}

static void read_file(struct osr_descriptor_index *index, struct osr_slice bytes)
{
    const OsirisInternal__File *content =
        (OsirisInternal__File *)unpack(&osiris_internal__file__descriptor, bytes, index->arena);
    assert(index->file_count < OSR_DESCRIBED_FILES_MAX);
    struct osr_described_file *file = &index->files[index->file_count];
    file->name = content->name;
    file->bytes = bytes;
    struct reading reading = {.index = index, .file = file};
    enter(&reading, content->package);
    read_imports(&reading, content->dependencies, content->n_dependencies);
    read_messages(&reading, content->messages, content->n_messages);
    read_named(&reading, content->enums, content->n_enums);
    read_services(&reading, content->services, content->n_services);
    osr_buffer_done(&reading.scope);
    index->file_count++;
}

static void read_set(struct osr_descriptor_index *index, struct osr_slice descriptor_set)
{
    const OsirisInternal__FileSet *set = (OsirisInternal__FileSet *)unpack(
        &osiris_internal__file_set__descriptor, descriptor_set, index->arena);
    for (size_t i = 0; i < set->n_files; i++) {
        read_file(index, osr_slice(set->files[i].data, set->files[i].len));
    }
}

struct osr_descriptor_index *osr_descriptor_index_create(struct osr_slice descriptor_set)
{
    struct osr_descriptor_index *index = osr_alloc(sizeof(*index));
    index->arena = osr_arena_create(0, UNPACKED_BYTES_MAX);
    /* Nobody else chooses the keys, so the hash needs no secret. */
    index->messages = osr_map_create(0);
    index->others = osr_map_create(0);
    read_set(index, descriptor_set);
    return index;
}

void osr_descriptor_index_destroy(struct osr_descriptor_index *index)
{
    if (index == NULL) {
        return;
    }
    for (size_t i = 0; i < index->file_count; i++) {
        free(index->files[i].imports);
    }
    for (size_t i = 0; i < index->service_count; i++) {
        free(index->services[i]);
    }
    free(index->services);
    osr_map_destroy(index->messages);
    osr_map_destroy(index->others);
    osr_arena_destroy(index->arena);
    free(index);
}

/* ---- looking up ---- */

const struct osr_described_file *osr_descriptor_index_file(const struct osr_descriptor_index *index,
                                                           const char *name)
{
    for (size_t i = 0; i < index->file_count; i++) {
        if (strcmp(index->files[i].name, name) == 0) {
            return &index->files[i];
        }
    }
    return NULL;
}

const struct osr_described_file *osr_descriptor_index_symbol(
    const struct osr_descriptor_index *index, const char *name)
{
    const struct osr_described_file *file = osr_map_get(index->messages, osr_slice_text(name));
    return file != NULL ? file : osr_map_get(index->others, osr_slice_text(name));
}

bool osr_descriptor_index_has_message(const struct osr_descriptor_index *index, const char *name)
{
    return osr_map_get(index->messages, osr_slice_text(name)) != NULL;
}

size_t osr_descriptor_index_service_count(const struct osr_descriptor_index *index)
{
    return index->service_count;
}

const char *osr_descriptor_index_service(const struct osr_descriptor_index *index, size_t number)
{
    assert(number < index->service_count);
    return index->services[number];
}

static bool is_among(const struct osr_described_file *file,
                     const struct osr_described_file *const *files, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (files[i] == file) {
            return true;
        }
    }
    return false;
}

size_t osr_described_file_closure(
    const struct osr_described_file *file,
    const struct osr_described_file *ret_files[OSR_DESCRIBED_FILES_MAX])
{
    size_t count = 1;
    ret_files[0] = file;
    for (size_t i = 0; i < count; i++) { /* grows on the way */
        for (size_t k = 0; k < ret_files[i]->import_count; k++) {
            const struct osr_described_file *import = ret_files[i]->imports[k];
            if (!is_among(import, ret_files, count)) {
                ret_files[count++] = import;
            }
        }
    }
    return count;
}
