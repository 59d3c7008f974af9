/* Snapshots on disk: the contract on the system's disk and on the simulated one, then what the
 * simulated one can do to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "adapter/snapshot_file.h"
#include "adapter/snapshot_layout.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "lib/scratch.h"
#include "lib/sim_disk.h"

enum {
    BLOCK = OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX,
    LARGE = 2 * BLOCK + 1000, /* three blocks, of which one is not full */
};

struct fixture {
    struct osr_disk *disk;
    struct osr_sim_disk *sim; /* NULL on the system's disk */
    char scratch[SCRATCH_PATH_MAX];
    char folder[SCRATCH_PATH_MAX + 16];
    struct osr_err err;
    struct osr_buffer state;
};

static void fill_state(struct fixture *fixture, uint64_t seed, size_t size)
{
    struct osr_random random;

    osr_random_init(&random, seed);
    fixture->state.size = 0;
    osr_random_fill(&random, osr_buffer_reserve(&fixture->state, size), size);
    fixture->state.size = size;
}

static struct fixture *fixture_create(struct osr_disk *disk)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));

    fixture->disk = disk;
    snprintf(fixture->folder, sizeof(fixture->folder), "snapshots");
    fill_state(fixture, 1, LARGE);
    return fixture;
}

static int set_up_system(void **state)
{
    struct fixture *fixture = fixture_create(osr_disk_system());

    scratch_create(fixture->scratch);
    snprintf(fixture->folder, sizeof(fixture->folder), "%s/snapshots", fixture->scratch);
    *state = fixture;
    return 0;
}

static void use_new_sim(struct fixture *fixture, uint64_t seed)
{
    osr_sim_disk_destroy(fixture->sim);
    fixture->sim = osr_sim_disk_create(seed);
    fixture->disk = osr_sim_disk_port(fixture->sim);
}

static int set_up_sim(void **state)
{
    struct fixture *fixture = fixture_create(NULL);

    use_new_sim(fixture, 7);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->sim == NULL)
        scratch_remove(fixture->scratch);
    osr_sim_disk_destroy(fixture->sim);
    osr_buffer_done(&fixture->state);
    free(fixture);
    return 0;
}

static uint64_t find(struct fixture *fixture)
{
    uint64_t index = UINT64_MAX;

    assert_int_equal(osr_snapshot_find(fixture->disk, fixture->folder, &index, &fixture->err), 0);
    return index;
}

static struct osr_snapshot_writer *begin(struct fixture *fixture, uint64_t index)
{
    struct osr_snapshot_writer *writer = NULL;

    assert_int_equal(
        osr_snapshot_writer_create(fixture->disk, fixture->folder, index, &writer, &fixture->err),
        0);
    return writer;
}

static int finish(struct fixture *fixture, struct osr_snapshot_writer *writer)
{
    struct osr_snapshot_about about;

    osr_snapshot_writer_about(writer, &about);
    about.term = about.index + 1000;
    about.configuration = osr_slice_text("one, two, three");
    return osr_snapshot_writer_finish(writer, &about, &fixture->err);
}

/* Writes the state in pieces of that size. */
static int write_code(struct fixture *fixture, uint64_t index, size_t piece)
{
    struct osr_slice rest = osr_buffer_slice(&fixture->state);
    struct osr_snapshot_writer *writer;
    int code =
        osr_snapshot_writer_create(fixture->disk, fixture->folder, index, &writer, &fixture->err);

    if (code != 0)
        return code;
    while (code == 0 && rest.size > 0) {
        size_t size = rest.size < piece ? rest.size : piece;
        code = osr_snapshot_writer_add(writer, osr_slice(rest.data, size), &fixture->err);
        rest = osr_slice(rest.data + size, rest.size - size);
    }
    if (code == 0)
        code = finish(fixture, writer);
    else
        assert_int_equal(finish(fixture, writer), OSR_IO); /* it is good for nothing now */
    osr_snapshot_writer_destroy(writer);
    return code;
}

static void write_snapshot(struct fixture *fixture, uint64_t index, size_t piece)
{
    assert_int_equal(write_code(fixture, index, piece), 0);
}

static int open_code(struct fixture *fixture, uint64_t index,
                     struct osr_snapshot_reader **ret_reader)
{
    return osr_snapshot_reader_open(fixture->disk, fixture->folder, index, ret_reader,
                                    &fixture->err);
}

static struct osr_snapshot_reader *open_snapshot(struct fixture *fixture, uint64_t index)
{
    struct osr_snapshot_reader *reader = NULL;

    assert_int_equal(open_code(fixture, index, &reader), 0);
    return reader;
}

/* Reads all in pieces of that size and compares it with the state. */
static void assert_state(struct fixture *fixture, uint64_t index, size_t piece)
{
    struct osr_snapshot_reader *reader = open_snapshot(fixture, index);
    const struct osr_snapshot_about *about = osr_snapshot_reader_about(reader);
    struct osr_buffer found = {0};

    assert_int_equal(about->index, index);
    assert_int_equal(about->term, index + 1000);
    assert_true(osr_slice_equal(about->configuration, osr_slice_text("one, two, three")));
    assert_int_equal(about->size, fixture->state.size);
    while (found.size < about->size) {
        size_t before = found.size;
        assert_int_equal(osr_snapshot_reader_read(reader, found.size, piece, &found, &fixture->err),
                         0);
        assert_true(found.size > before && found.size - before <= piece);
    }
    assert_true(osr_slice_equal(osr_buffer_slice(&found), osr_buffer_slice(&fixture->state)));
    osr_buffer_done(&found);
    osr_snapshot_reader_close(reader);
}

/* The contract. */

/* Whatever the size and the pieces in which it is written and read, the state comes back. */
static void snapshot_gives_back_what_was_added(void **state)
{
    struct fixture *fixture = *state;
    static const size_t sizes[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, (size_t)2 * BLOCK, LARGE};
    static const size_t pieces[] = {700, BLOCK, (size_t)3 * BLOCK};
    uint64_t index = 0;

    assert_int_equal(find(fixture), 0);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t j = 0; j < sizeof(pieces) / sizeof(pieces[0]); j++) {
            fill_state(fixture, i + 1, sizes[i]);
            write_snapshot(fixture, ++index, pieces[j]);
            assert_state(fixture, index, pieces[j]);
            assert_int_equal(find(fixture), index);
            assert_state(fixture, index, 1000);
        }
    }
}

/* A read from anywhere gives what stands there, and less only at the end. */
static void snapshot_is_read_at_any_offset(void **state)
{
    struct fixture *fixture = *state;
    static const size_t offsets[] = {BLOCK - 1, 0, LARGE - 1, BLOCK, 7, LARGE, LARGE + 5};
    struct osr_snapshot_reader *reader;
    struct osr_buffer found = {0};

    find(fixture);
    write_snapshot(fixture, 5, LARGE);
    reader = open_snapshot(fixture, 5);
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        size_t rest = offsets[i] < LARGE ? LARGE - offsets[i] : 0;
        found.size = 0;
        osr_buffer_add_text(&found, "kept ");
        assert_int_equal(osr_snapshot_reader_read(reader, offsets[i], 100, &found, &fixture->err),
                         0);
        assert_int_equal(found.size, 5 + (rest < 100 ? rest : 100));
        assert_memory_equal(found.data, "kept ", 5);
        if (rest > 0)
            assert_memory_equal(found.data + 5, fixture->state.data + offsets[i], found.size - 5);
    }
    osr_buffer_done(&found);
    osr_snapshot_reader_close(reader);
}

/* The newest counts; an older one goes, also if it is finished late, but not under a reader. */
static void snapshot_replaces_older_ones(void **state)
{
    struct fixture *fixture = *state;
    struct osr_snapshot_writer *late;
    struct osr_snapshot_reader *reader;
    struct osr_buffer found = {0};

    find(fixture);
    write_snapshot(fixture, 3, LARGE);
    reader = open_snapshot(fixture, 3);
    late = begin(fixture, 8);
    write_snapshot(fixture, 20, LARGE);
    assert_int_equal(finish(fixture, late), 0);
    osr_snapshot_writer_destroy(late);
    assert_int_equal(osr_snapshot_reader_read(reader, 0, LARGE, &found, &fixture->err), 0);
    assert_true(osr_slice_equal(osr_buffer_slice(&found), osr_buffer_slice(&fixture->state)));
    osr_buffer_done(&found);
    osr_snapshot_reader_close(reader);
    assert_int_equal(open_code(fixture, 3, &reader), OSR_NOT_FOUND);
    assert_int_equal(open_code(fixture, 8, &reader), OSR_NOT_FOUND);
    assert_int_equal(find(fixture), 20);
    assert_state(fixture, 20, LARGE);
}

/* A writer that is given up leaves nothing, and two do not make the same one. */
static void snapshot_given_up_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct osr_snapshot_writer *writer;
    struct osr_snapshot_writer *second;

    find(fixture);
    writer = begin(fixture, 4);
    assert_int_equal(osr_snapshot_writer_add(writer, osr_buffer_slice(&fixture->state), NULL), 0);
    assert_int_equal(
        osr_snapshot_writer_create(fixture->disk, fixture->folder, 4, &second, &fixture->err),
        OSR_ALREADY_EXISTS);
    osr_snapshot_writer_destroy(writer);
    assert_int_equal(find(fixture), 0);
    write_snapshot(fixture, 4, LARGE);
    assert_state(fixture, 4, LARGE);
}

/* What came must be what was announced: as many bytes, and the same ones. */
static void snapshot_is_checked_against_what_was_announced(void **state)
{
    struct fixture *fixture = *state;
    struct osr_snapshot_about announced;
    struct osr_snapshot_writer *writer;

    find(fixture);
    writer = begin(fixture, 4);
    osr_snapshot_writer_add(writer, osr_buffer_slice(&fixture->state), NULL);
    osr_snapshot_writer_about(writer, &announced);
    osr_snapshot_writer_destroy(writer);
    assert_int_equal(announced.size, LARGE);
    for (int i = 0; i < 3; i++) {
        size_t size = i == 0 ? LARGE - 1 : LARGE;
        fixture->state.data[LARGE / 2] ^= i == 1 ? 1 : 0;
        writer = begin(fixture, 4);
        osr_snapshot_writer_add(writer, osr_slice(fixture->state.data, size), NULL);
        assert_int_equal(osr_snapshot_writer_finish(writer, &announced, &fixture->err),
                         i < 2 ? OSR_CORRUPT : 0);
        osr_snapshot_writer_destroy(writer);
        assert_int_equal(find(fixture), i < 2 ? 0 : 4);
        fixture->state.data[LARGE / 2] ^= i == 1 ? 1 : 0;
    }
}

/* The checksum is of the bytes alone: not of the index, nor of how they came. */
static void snapshot_checksum_is_of_the_bytes(void **state)
{
    struct fixture *fixture = *state;
    struct osr_snapshot_about whole;
    struct osr_snapshot_about pieces;
    struct osr_snapshot_writer *writer;

    find(fixture);
    writer = begin(fixture, 4);
    osr_snapshot_writer_add(writer, osr_buffer_slice(&fixture->state), NULL);
    osr_snapshot_writer_about(writer, &whole);
    osr_snapshot_writer_destroy(writer);
    writer = begin(fixture, 5);
    for (size_t i = 0; i < LARGE; i += 1000)
        osr_snapshot_writer_add(
            writer, osr_slice(fixture->state.data + i, LARGE - i < 1000 ? LARGE - i : 1000), NULL);
    osr_snapshot_writer_about(writer, &pieces);
    osr_snapshot_writer_destroy(writer);
    assert_int_equal(whole.checksum, pieces.checksum);
}

/* Beyond the contract, on the simulated disk. */

static char *path_of(uint64_t index)
{
    return osr_snapshot_path("snapshots", index, "");
}

/* Half-made ones are removed; other files are let be. */
static void snapshot_find_removes_its_left_overs_only(void **state)
{
    struct fixture *fixture = *state;
    char *half_made = osr_snapshot_path("snapshots", 9, ".tmp");

    find(fixture);
    write_snapshot(fixture, 4, LARGE);
    osr_sim_disk_put(fixture->sim, half_made, osr_slice_text("half made"));
    osr_sim_disk_put(fixture->sim, "snapshots/9.snapshot", osr_slice_text("not our name"));
    assert_int_equal(find(fixture), 4);
    assert_null(osr_sim_disk_content(fixture->sim, half_made).data);
    assert_non_null(osr_sim_disk_content(fixture->sim, "snapshots/9.snapshot").data);
    free(half_made);
}

enum { CUTS = 200, STEPS_MAX = 20 /* more than it takes to make one */ };

/* Wherever the power is cut while the second snapshot is made, the first or the second is there,
 * whole, and the second if it was said to be finished. */
static void snapshot_survives_a_power_cut_at_any_step(void **state)
{
    struct fixture *fixture = *state;
    size_t finished = 0;
    size_t old = 0;

    for (uint64_t seed = 0; seed < CUTS; seed++) {
        uint64_t found;
        int code;
        use_new_sim(fixture, seed);
        find(fixture);
        write_snapshot(fixture, 4, LARGE);
        osr_sim_disk_crash_at(fixture->sim, 1 + seed % STEPS_MAX);
        code = write_code(fixture, 5, BLOCK / 2);
        osr_sim_disk_power_cut(fixture->sim);
        found = find(fixture);
        assert_true(found == 5 || (found == 4 && code != 0));
        assert_state(fixture, found, LARGE);
        finished += code == 0;
        old += found == 4;
        /* Nothing of what was lost is in the way of another. */
        write_snapshot(fixture, 5, LARGE);
        osr_sim_disk_power_cut(fixture->sim);
        assert_int_equal(find(fixture), 5);
        assert_state(fixture, 5, LARGE);
    }
    assert_true(old > 10 && finished > 10 && old + finished < CUTS);
}

/* A write or sync that fails makes no snapshot, and the one before stays. */
static void snapshot_is_not_made_where_the_disk_fails(void **state)
{
    struct fixture *fixture = *state;

    for (uint64_t nth = 1; nth <= 4; nth++) { /* three blocks and the header */
        use_new_sim(fixture, nth);
        find(fixture);
        write_snapshot(fixture, 4, LARGE);
        osr_sim_disk_fail_write(fixture->sim, nth);
        assert_int_equal(write_code(fixture, 5, BLOCK / 2), OSR_IO);
        assert_int_equal(find(fixture), 4);
        assert_state(fixture, 4, LARGE);
    }
    osr_sim_disk_fail_sync(fixture->sim, 1);
    assert_int_equal(write_code(fixture, 5, BLOCK / 2), OSR_IO);
    assert_int_equal(find(fixture), 4);
    write_snapshot(fixture, 5, LARGE);
}

/* With no room the writer says so and leaves none of its bytes; the one before stays. */
static void snapshot_on_a_full_disk_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint64_t used;

    find(fixture);
    write_snapshot(fixture, 4, LARGE);
    used = osr_sim_disk_used(fixture->sim);
    for (uint64_t room = 0; room < used; room += 9000) {
        osr_sim_disk_set_capacity(fixture->sim, used + room);
        assert_int_equal(write_code(fixture, 5, 3000), OSR_DISK_FULL);
        assert_int_equal(osr_sim_disk_used(fixture->sim), used);
        assert_state(fixture, 4, LARGE);
    }
    osr_sim_disk_set_capacity(fixture->sim, 2 * used);
    write_snapshot(fixture, 5, 3000);
    assert_int_equal(osr_sim_disk_used(fixture->sim), used);
}

/* A large one is brought to the disk bit by bit, so that nobody waits long behind its sync. */
static void snapshot_is_synced_on_the_way(void **state)
{
    struct fixture *fixture = *state;
    uint64_t syncs;

    find(fixture);
    fill_state(fixture, 1, (size_t)3 * OSR_DISK_SYNC_BYTES);
    syncs = osr_sim_disk_counts(fixture->sim)->syncs;
    write_snapshot(fixture, 4, BLOCK);
    assert_in_range(osr_sim_disk_counts(fixture->sim)->syncs - syncs, 3 + 1, 3 + 2);
}

static bool is_refused(struct fixture *fixture)
{
    struct osr_snapshot_reader *reader;
    struct osr_buffer found = {0};
    int code = open_code(fixture, 4, &reader);

    if (code == 0) {
        code = osr_snapshot_reader_read(reader, 0, LARGE, &found, &fixture->err);
        assert_true(
            osr_slice_equal(osr_slice(fixture->state.data, found.size), osr_buffer_slice(&found)));
        osr_buffer_done(&found);
        osr_snapshot_reader_close(reader);
    }
    assert_true(code == 0 || code == OSR_CORRUPT || code == OSR_FOREIGN_FILE);
    if (code == OSR_CORRUPT) {
        assert_non_null(strstr(fixture->err.message, "4.snapshot: offset "));
        assert_non_null(strstr(fixture->err.hint, "learner"));
    }
    return code != 0;
}

/* A flipped bit is found wherever it is, and no byte behind it is given. */
static void snapshot_finds_every_flipped_bit(void **state)
{
    struct fixture *fixture = *state;
    char *path = path_of(4);
    size_t size;

    find(fixture);
    write_snapshot(fixture, 4, LARGE);
    size = osr_sim_disk_content(fixture->sim, path).size;
    for (size_t at = 0; at < size; at += at < 200 ? 1 : 101) {
        osr_sim_disk_flip(fixture->sim, path, at, (uint8_t)(1 << at % 8));
        assert_true(is_refused(fixture));
        osr_sim_disk_flip(fixture->sim, path, at, (uint8_t)(1 << at % 8));
    }
    assert_false(is_refused(fixture));
    free(path);
}

static void put_changed(struct fixture *fixture, struct osr_buffer *content)
{
    char *path = path_of(4);

    osr_sim_disk_put(fixture->sim, path, osr_buffer_slice(content));
    free(path);
}

/* A file that is not whole, a block of another place or file, another's file, a later format. */
static void snapshot_refuses_what_is_not_its_own(void **state)
{
    struct fixture *fixture = *state;
    char *path = path_of(4);
    char *other = path_of(3);
    struct osr_buffer content = {0};
    struct osr_snapshot_reader *reader;
    struct osr_slice whole;

    find(fixture);
    write_snapshot(fixture, 4, LARGE);
    whole = osr_sim_disk_content(fixture->sim, path);
    osr_buffer_add(&content, whole.data, whole.size);

    content.size -= 1;
    put_changed(fixture, &content);
    assert_true(is_refused(fixture));
    content.size += 1;

    memcpy(content.data + osr_snapshot_block_offset(1), content.data + osr_snapshot_block_offset(0),
           OSR_SNAPSHOT_BLOCK_BYTES);
    put_changed(fixture, &content);
    assert_true(is_refused(fixture));

    osr_put_u32(content.data + OSR_SNAPSHOT_FORMAT_AT, 2);
    osr_put_u32(content.data + OSR_SNAPSHOT_CRC_AT,
                osr_crc32c(0, content.data + OSR_SNAPSHOT_FORMAT_AT,
                           OSR_SNAPSHOT_HEADER_BYTES - OSR_SNAPSHOT_FORMAT_AT));
    put_changed(fixture, &content);
    assert_int_equal(open_code(fixture, 4, &reader), OSR_UNSUPPORTED_VERSION);

    content.size = 0;
    osr_buffer_add_text(&content, "somebody's text");
    put_changed(fixture, &content);
    assert_int_equal(open_code(fixture, 4, &reader), OSR_FOREIGN_FILE);

    write_snapshot(fixture, 3, LARGE); /* goes at once: 4 is newer, whatever is in it */
    assert_null(osr_sim_disk_content(fixture->sim, other).data);
    osr_buffer_done(&content);
    free(path);
    free(other);
}

#define ON_BOTH(test)                                                                              \
    cmocka_unit_test_setup_teardown(test, set_up_system, tear_down),                               \
        cmocka_unit_test_setup_teardown(test, set_up_sim, tear_down)
#define ON_SIM(test) cmocka_unit_test_setup_teardown(test, set_up_sim, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(snapshot_gives_back_what_was_added),
        ON_BOTH(snapshot_is_read_at_any_offset),
        ON_BOTH(snapshot_replaces_older_ones),
        ON_BOTH(snapshot_given_up_leaves_nothing),
        ON_BOTH(snapshot_is_checked_against_what_was_announced),
        ON_BOTH(snapshot_checksum_is_of_the_bytes),
        ON_SIM(snapshot_find_removes_its_left_overs_only),
        ON_SIM(snapshot_survives_a_power_cut_at_any_step),
        ON_SIM(snapshot_is_not_made_where_the_disk_fails),
        ON_SIM(snapshot_on_a_full_disk_leaves_nothing),
        ON_SIM(snapshot_is_synced_on_the_way),
        ON_SIM(snapshot_finds_every_flipped_bit),
        ON_SIM(snapshot_refuses_what_is_not_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
