/* Entries out of files to import: the same ones come out however the input is cut, and each is one
 * JSON value without white space. The first two bytes of the input say the form and how to cut. */
#include "fuzz.h"

#include "bin/entry_reader.h"

static void expect_compact(struct osr_slice data)
{
    struct osr_buffer compacted = {0};
    MUST(osr_json_compact(&compacted, data, NULL) == OSR_OK);
    MUST(osr_slice_equal(osr_buffer_slice(&compacted), data));
    osr_buffer_done(&compacted);
}

/* Takes out all entries that are complete, each followed by a mark, into `entries`. */
static int take_entries(struct osr_entry_reader *reader, struct osr_buffer *entries)
{
    for (;;) {
        struct osr_slice data;
        int code = osr_entry_reader_next(reader, &data, NULL);
        if (code != OSR_OK || data.size == 0)
            return code;
        expect_compact(data);
        osr_buffer_add(entries, data.data, data.size);
        osr_buffer_add_text(entries, "|");
    }
}

/* Gives the input in pieces of up to `piece` bytes. */
static int read_in_pieces(struct osr_slice input, enum osr_entry_form form, size_t piece,
                          struct osr_buffer *entries)
{
    struct osr_entry_reader reader;
    osr_entry_reader_init(&reader, form);
    int code = OSR_OK;
    for (size_t at = 0; at < input.size && code == OSR_OK; at += piece) {
        size_t size = input.size - at < piece ? input.size - at : piece;
        memcpy(osr_entry_reader_room(&reader, size), input.data + at, size);
        osr_entry_reader_added(&reader, size);
        code = take_entries(&reader, entries);
    }
    osr_entry_reader_end(&reader);
    if (code == OSR_OK)
        code = take_entries(&reader, entries);
    osr_entry_reader_done(&reader);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    enum osr_entry_form form = (enum osr_entry_form)(data[0] % 5);
    struct osr_slice input = osr_slice(data + 2, size - 2);
    struct osr_buffer whole = {0};
    struct osr_buffer pieces = {0};
    int whole_code = read_in_pieces(input, form, size, &whole);
    int pieces_code = read_in_pieces(input, form, data[1] % 64 + 1u, &pieces);
    MUST(whole_code == pieces_code);
    MUST(osr_slice_equal(osr_buffer_slice(&whole), osr_buffer_slice(&pieces)));
    osr_buffer_done(&whole);
    osr_buffer_done(&pieces);
    return 0;
}
