/* The audit log over hostile files. Raw bytes would never get past the chain, so the input is a
 * list of commands that write two files: lines as the log writes them, others that the chain goes
 * through all the same, bytes, and flips. Whatever is in them, opening refuses them and leaves
 * them alone, or goes on from where reading ends. */
#include "fuzz.h"

#include "adapter/audit_file.h"
#include "base/text.h"
#include "lib/sim_disk.h"

enum { FILES = 2 };

/* Builds files from the input. */
struct builder {
    const uint8_t *data;
    size_t left;
    struct osr_audit_head head;
    uint64_t synced;
    uint64_t firsts[FILES];
    struct osr_buffer files[FILES];
    size_t current;
};

static uint8_t take(struct builder *builder)
{
    if (builder->left == 0) {
        return 0;
    }
    builder->left--;
    return *builder->data++;
}

static struct osr_slice take_some(struct builder *builder)
{
    size_t size = take(builder);
    struct osr_slice some = osr_slice(builder->data, size < builder->left ? size : builder->left);
    builder->data += some.size;
    builder->left -= some.size;
    return some;
}

static struct osr_buffer *current(struct builder *builder)
{
    return &builder->files[builder->current];
}

static void begin_file(struct builder *builder, size_t file)
{
    builder->current = file;
    builder->firsts[file] = builder->head.number + 1;
    osr_audit_header_encode(current(builder), &builder->head);
}

static void add_record(struct builder *builder)
{
    struct osr_slice some = take_some(builder);
    char *text = osr_format("%.*s", (int)some.size, (const char *)some.data);
    const struct osr_audit_record record = {
        0, some.size, some.size % 2 == 0, text, text, text, text, text, text};
    osr_audit_line_encode(current(builder), &record, builder->synced, &builder->head);
    free(text);
}

/* A line that begins and ends as one, with anything between. */
static void add_odd_line(struct builder *builder)
{
    static const char tag[] = "osiris audit 1";
    struct osr_buffer line = {0};
    char hex[2 * OSR_SHA256_SIZE + 1];
    osr_buffer_add_format(&line, "{\"n\":%llu,\"synced\":%u",
                          (unsigned long long)builder->head.number + 1, take(builder));
    struct osr_slice some = take_some(builder);
    osr_buffer_add(&line, some.data, some.size);
    const struct osr_slice pieces[] = {
        osr_slice(tag, sizeof(tag)),
        osr_slice(builder->head.chain.bytes, OSR_SHA256_SIZE),
        osr_buffer_slice(&line),
    };
    builder->head.chain = osr_sha256(pieces, 3);
    builder->head.number++;
    osr_hex_encode(hex, osr_slice(builder->head.chain.bytes, OSR_SHA256_SIZE));
    osr_buffer_add_format(&line, ",\"chain\":\"%s\"}\n", hex);
    osr_buffer_add(current(builder), line.data, line.size);
    osr_buffer_done(&line);
}

static void flip(struct builder *builder)
{
    struct osr_buffer *file = current(builder);
    size_t at = (size_t)take(builder) << 8 | take(builder);
    file->data[at % file->size] ^= take(builder);
}

static void build(struct builder *builder)
{
    begin_file(builder, 0);
    while (builder->left > 0) {
        struct osr_slice some;
        switch (take(builder) % 8) {
        case 0:
            add_odd_line(builder);
            break;
        case 1:
            some = take_some(builder);
            osr_buffer_add(current(builder), some.data, some.size);
            break;
        case 2:
            flip(builder);
            break;
        case 3:
            if (builder->current + 1 < FILES && builder->head.number > 0) {
                begin_file(builder, builder->current + 1);
            }
            break;
        case 4:
            builder->synced = builder->head.number;
            break;
        default:
            add_record(builder);
        }
    }
}

static void put_files(struct builder *builder, struct osr_sim_disk *sim)
{
    struct osr_disk *disk = osr_sim_disk_port(sim);
    MUST(disk->ops->make_folder(disk, "data", NULL) == 0);
    MUST(disk->ops->make_folder(disk, "data/audit", NULL) == 0);
    for (size_t i = 0; i <= builder->current; i++) {
        char *path = osr_audit_path("data/audit", builder->firsts[i]);
        osr_sim_disk_put(sim, path, osr_buffer_slice(&builder->files[i]));
        free(path);
    }
}

static void must_be_as_built(const struct builder *builder, struct osr_sim_disk *sim)
{
    for (size_t i = 0; i <= builder->current; i++) {
        char *path = osr_audit_path("data/audit", builder->firsts[i]);
        MUST(
            osr_slice_equal(osr_sim_disk_content(sim, path), osr_buffer_slice(&builder->files[i])));
        free(path);
    }
}

/* Looks at every byte of every text. */
static int look_at(void *context, const struct osr_audit_record *record, struct osr_err *err)
{
    size_t *size = context;
    (void)err;
    *size += strlen(record->who) + strlen(record->from) + strlen(record->action) +
             strlen(record->part) + strlen(record->what) + strlen(record->why);
    return 0;
}

static int read_log(struct osr_disk *disk, struct osr_audit_head *ret_head)
{
    static const struct osr_audit_wanted all = {0};
    size_t size = 0;
    return osr_audit_log_read(disk, "data", &all, look_at, &size, ret_head, NULL);
}

static void append_and_open_again(struct osr_disk *disk, struct osr_audit_log *log)
{
    const struct osr_audit_log_options options = {.disk = disk, .folder = "data"};
    struct osr_audit_record record = {0, 1, true, "who", "from", "action", "part", "what", "why"};
    MUST(osr_audit_log_append(log, &record, 1, NULL) == 0);
    struct osr_audit_head head = osr_audit_log_head(log);
    osr_audit_log_close(log);
    MUST(osr_audit_log_open(&options, &log, NULL) == 0);
    struct osr_audit_head again = osr_audit_log_head(log);
    MUST(again.number == head.number && osr_hash_equal(&again.chain, &head.chain));
    MUST(osr_audit_log_torn_bytes(log) == 0);
    osr_audit_log_close(log);
}

static void open_log(const struct builder *builder, struct osr_sim_disk *sim)
{
    struct osr_disk *disk = osr_sim_disk_port(sim);
    const struct osr_audit_log_options options = {.disk = disk, .folder = "data"};
    struct osr_audit_log *log = NULL;
    struct osr_audit_head read;
    bool is_read = read_log(disk, &read) == 0;
    int code = osr_audit_log_open(&options, &log, NULL);
    if (code != 0) {
        MUST(code == OSR_CORRUPT || code == OSR_FOREIGN_FILE || code == OSR_UNSUPPORTED_VERSION);
        must_be_as_built(builder, sim);
        return;
    }
    struct osr_audit_head head = osr_audit_log_head(log);
    MUST(!is_read || (read.number == head.number && osr_hash_equal(&read.chain, &head.chain)));
    append_and_open_again(disk, log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct builder builder = {.data = data, .left = size};
    struct osr_sim_disk *sim = osr_sim_disk_create(1);
    build(&builder);
    put_files(&builder, sim);
    open_log(&builder, sim);
    osr_buffer_done(&builder.files[0]);
    osr_buffer_done(&builder.files[1]);
    osr_sim_disk_destroy(sim);
    return 0;
}
