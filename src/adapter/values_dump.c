/* Reading all values as they stood at one moment. */
#include <assert.h>
#include <stdlib.h>

#include "adapter/values_internal.h"

/* Read since the file's pages were forgotten, so that a dump does not make the whole file count as
 * memory of this process. */
enum { FORGET_BYTES = 32 << 20 };

struct osr_values_dump {
    struct osr_values_file *file;
    struct osr_values_view view;
    size_t unforgotten; /* bytes */
    bool is_begun;
    bool is_done;
};

int osr_values_dump_open(struct osr_values_file *file, struct osr_values_dump **ret_dump,
                         uint64_t *ret_index, struct osr_err *err)
{
    struct osr_values_dump *dump = osr_alloc(sizeof(*dump));
    int code = osr_values_view_open(&dump->view, &file->disk, err);

    if (code == 0) {
        code = osr_values_view_index(&dump->view, ret_index, err);
    }
    if (code != 0) {
        osr_values_view_close(&dump->view);
        free(dump);
        return code;
    }
    dump->file = file;
    file->dump_count++;
    *ret_dump = dump;
    return 0;
}

void osr_values_dump_close(struct osr_values_dump *dump)
{
    if (dump == NULL) {
        return;
    }
    osr_values_view_close(&dump->view);
    dump->file->dump_count--;
    free(dump);
}

/* What stands under machine 0 is the file's own. */
static int find_next(struct osr_values_dump *dump, struct osr_slice *ret_key,
                     struct osr_slice *ret_value, struct osr_err *err)
{
    struct osr_values_key first;

    if (dump->is_begun) {
        return osr_values_view_next(&dump->view, ret_key, ret_value, err);
    }
    dump->is_begun = true;
    return osr_values_view_seek(&dump->view, osr_values_key(&first, 1, osr_slice("", 0)), ret_key,
                                ret_value, err);
}

static void add_record(struct osr_buffer *bytes, struct osr_slice full, struct osr_slice value)
{
    struct osr_slice key =
        osr_slice(full.data + OSR_VALUES_MACHINE_SIZE, full.size - OSR_VALUES_MACHINE_SIZE);

    osr_buffer_add(bytes, full.data, OSR_VALUES_MACHINE_SIZE);
    osr_buffer_add_u16(bytes, (uint16_t)key.size);
    osr_buffer_add_u32(bytes, (uint32_t)value.size);
    osr_buffer_add(bytes, key.data, key.size);
    osr_buffer_add(bytes, value.data, value.size);
}

static void forget_now_and_then(struct osr_values_dump *dump, size_t more)
{
    dump->unforgotten += more;
    if (dump->unforgotten >= FORGET_BYTES || dump->is_done) {
        osr_values_disk_forget(dump->view.disk);
        dump->unforgotten = 0;
    }
}

int osr_values_dump_read(struct osr_values_dump *dump, size_t size, struct osr_buffer *bytes,
                         struct osr_err *err)
{
    size_t before = bytes->size;

    while (!dump->is_done && bytes->size - before < size) {
        struct osr_slice key;
        struct osr_slice value;
        int code = find_next(dump, &key, &value, err);
        if (code != 0 && code != OSR_NOT_FOUND) {
            return code;
        }
        dump->is_done = code == OSR_NOT_FOUND;
        if (!dump->is_done) {
            add_record(bytes, key, value);
        }
    }
    forget_now_and_then(dump, bytes->size - before);
    return 0;
}
