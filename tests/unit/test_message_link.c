/* The two sides of a connection over messages, with nothing between them but this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "adapter/message_link.h"
#include "base/random.h"

static const uint8_t id[OSR_MESSAGE_ID_BYTES] = "a connection's i";

/* ---- packets ---- */

static struct osr_buffer encoded(const struct osr_message_packet *packet)
{
    struct osr_buffer message = {0};
    osr_message_packet_encode(packet, &message);
    return message;
}

static int decode_bytes(const void *bytes, size_t size)
{
    struct osr_message_packet packet;
    struct osr_err err;
    return osr_message_packet_decode(osr_slice(bytes, size), &packet, &err);
}

/* Every member of every type comes out as it went in. */
static void packet_of_each_type_round_trips(void **state)
{
    (void)state;
    for (unsigned type = OSR_MESSAGE_OPEN; type < OSR_MESSAGE_TYPE_COUNT; type++) {
        bool has_number =
            type == OSR_MESSAGE_DATA || type == OSR_MESSAGE_END || type == OSR_MESSAGE_PROBE;
        bool has_nonce = type == OSR_MESSAGE_PROBE || type == OSR_MESSAGE_PROBE_REPLY;
        bool has_credit = type == OSR_MESSAGE_OPEN || type == OSR_MESSAGE_ACCEPT ||
                          type == OSR_MESSAGE_CREDIT || type == OSR_MESSAGE_PROBE_REPLY;
        struct osr_message_packet packet = {
            .type = (enum osr_message_type)type,
            .number = has_number ? UINT64_C(0x0102030405060708) : 0,
            .nonce = has_nonce ? UINT64_MAX : 0,
            .credit =
                has_credit ? (struct osr_message_credit){1, 2, 3} : (struct osr_message_credit){0},
            .code = type == OSR_MESSAGE_RESET ? OSR_BUSY : 0,
            .bytes = type == OSR_MESSAGE_DATA ? osr_slice("text", 4) : osr_slice(NULL, 0),
        };
        memcpy(packet.id, id, sizeof(id));
        struct osr_buffer message = encoded(&packet);
        struct osr_message_packet back;
        struct osr_err err;
        assert_int_equal(osr_message_packet_decode(osr_buffer_slice(&message), &back, &err), 0);
        assert_int_equal(back.type, packet.type);
        assert_memory_equal(back.id, id, sizeof(id));
        assert_int_equal(back.number, packet.number);
        assert_int_equal(back.nonce, packet.nonce);
        assert_memory_equal(&back.credit, &packet.credit, sizeof(packet.credit));
        assert_int_equal(back.code, packet.code);
        assert_true(osr_slice_equal(back.bytes, packet.bytes));
        osr_buffer_done(&message);
    }
}

/* What is too short, too long, of another version or of no type is refused. */
static void what_is_no_packet_is_refused(void **state)
{
    (void)state;
    static uint8_t data[OSR_MESSAGE_HEADER_BYTES + 8 + OSR_MESSAGE_PIECE_BYTES + 1] = {
        OSR_MESSAGE_VERSION, OSR_MESSAGE_DATA};
    const size_t fixed = OSR_MESSAGE_HEADER_BYTES + 8;
    assert_int_equal(decode_bytes(data, 0), OSR_MALFORMED);
    assert_int_equal(decode_bytes(data, OSR_MESSAGE_HEADER_BYTES - 1), OSR_MALFORMED);
    assert_int_equal(decode_bytes(data, fixed), OSR_MALFORMED); /* no bytes in it */
    assert_int_equal(decode_bytes(data, fixed + 1), 0);
    assert_int_equal(decode_bytes(data, sizeof(data) - 1), 0);
    assert_int_equal(decode_bytes(data, sizeof(data)), OSR_MALFORMED);
    data[1] = OSR_MESSAGE_CREDIT;
    assert_int_equal(decode_bytes(data, OSR_MESSAGE_HEADER_BYTES + 24), 0);
    assert_int_equal(decode_bytes(data, OSR_MESSAGE_HEADER_BYTES + 23), OSR_MALFORMED);
    assert_int_equal(decode_bytes(data, OSR_MESSAGE_HEADER_BYTES + 25), OSR_MALFORMED);
    data[1] = OSR_MESSAGE_TYPE_COUNT;
    assert_int_equal(decode_bytes(data, OSR_MESSAGE_HEADER_BYTES + 24), OSR_MALFORMED);
    data[1] = 0;
    assert_int_equal(decode_bytes(data, OSR_MESSAGE_HEADER_BYTES + 24), OSR_MALFORMED);
    data[0] = OSR_MESSAGE_VERSION + 1;
    data[1] = OSR_MESSAGE_CREDIT;
    assert_int_equal(decode_bytes(data, OSR_MESSAGE_HEADER_BYTES + 24), OSR_MALFORMED);
}

/* ---- two sides ---- */

struct pair {
    struct osr_message_link *dialler;
    struct osr_message_link *listener;
};

static int receive(struct osr_message_link *link, struct osr_slice message)
{
    struct osr_message_packet packet;
    struct osr_err err;
    assert_int_equal(osr_message_packet_decode(message, &packet, &err), 0);
    return osr_message_link_receive(link, &packet, &err);
}

static bool produce(struct osr_message_link *link, struct osr_buffer *message)
{
    osr_buffer_clear(message);
    return osr_message_link_produce(link, message);
}

/* All that one side has to say reaches the other. Returns how many packets it was. */
static size_t carry(struct osr_message_link *from, struct osr_message_link *to)
{
    struct osr_buffer message = {0};
    size_t count = 0;
    while (produce(from, &message)) {
        assert_int_equal(receive(to, osr_buffer_slice(&message)), 0);
        count++;
    }
    osr_buffer_done(&message);
    return count;
}

static void settle(struct pair *pair)
{
    while (carry(pair->dialler, pair->listener) + carry(pair->listener, pair->dialler) > 0) {
    }
}

static void create(struct pair *pair)
{
    struct osr_buffer message = {0};
    struct osr_message_packet packet;
    struct osr_err err;
    pair->dialler = osr_message_link_create(id, NULL);
    assert_true(produce(pair->dialler, &message));
    assert_int_equal(osr_message_packet_decode(osr_buffer_slice(&message), &packet, &err), 0);
    assert_int_equal(packet.type, OSR_MESSAGE_OPEN);
    pair->listener = osr_message_link_create(id, &packet);
    osr_buffer_done(&message);
}

static int set_up(void **state)
{
    struct pair *pair = osr_alloc(sizeof(*pair));
    create(pair);
    settle(pair);
    assert_true(osr_message_link_is_up(pair->dialler));
    *state = pair;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *pair = *state;
    osr_message_link_destroy(pair->dialler);
    osr_message_link_destroy(pair->listener);
    free(pair);
    return 0;
}

static void write_bytes(struct osr_message_link *link, const void *data, size_t size)
{
    struct osr_buffer buffer = {0};
    osr_buffer_add(&buffer, data, size);
    osr_message_link_write(link, &buffer);
    assert_int_equal(buffer.size, 0);
}

static void write_zeros(struct osr_message_link *link, size_t size)
{
    uint8_t *zeros = osr_alloc(size);
    write_bytes(link, zeros, size);
    free(zeros);
}

static size_t read_all(struct osr_message_link *link)
{
    uint8_t room[4096];
    size_t sum = 0;
    size_t size;
    while ((size = osr_message_link_read(link, room, sizeof(room))) > 0) {
        sum += size;
    }
    return sum;
}

/* A packet that only who breaks the rules would send. */
static int receive_made_up(struct osr_message_link *link, struct osr_message_packet packet)
{
    struct osr_err err;
    memcpy(packet.id, id, sizeof(id));
    return osr_message_link_receive(link, &packet, &err);
}

/* What was written in pieces goes out in one packet, and is read in pieces again. */
static void small_writes_go_together(void **state)
{
    struct pair *pair = *state;
    uint8_t room[8];
    write_bytes(pair->dialler, "ques", 4);
    write_bytes(pair->dialler, "tion", 4);
    assert_int_equal(osr_message_link_queued(pair->dialler), 8);
    assert_int_equal(carry(pair->dialler, pair->listener), 1);
    assert_int_equal(osr_message_link_unread(pair->listener), 8);
    assert_int_equal(osr_message_link_read(pair->listener, room, 3), 3);
    assert_int_equal(osr_message_link_read(pair->listener, room + 3, 8), 5);
    assert_memory_equal(room, "question", 8);
}

/* Before the other side has accepted, nothing but the greeting goes out. */
static void nothing_goes_out_before_it_is_up(void **state)
{
    (void)state;
    struct pair pair;
    struct osr_buffer message = {0};
    create(&pair);
    write_bytes(pair.dialler, "early", 5);
    assert_false(produce(pair.dialler, &message));
    settle(&pair);
    assert_int_equal(read_all(pair.listener), 5);
    osr_buffer_done(&message);
    osr_message_link_destroy(pair.dialler);
    osr_message_link_destroy(pair.listener);
}

/* Doubles of every packet change nothing. */
static void doubles_are_dropped(void **state)
{
    struct pair *pair = *state;
    struct osr_buffer message = {0};
    const size_t size = OSR_MESSAGE_PIECE_BYTES / 4 * 3;
    write_zeros(pair->dialler, size);
    osr_message_link_end(pair->dialler);
    while (produce(pair->dialler, &message)) {
        assert_int_equal(receive(pair->listener, osr_buffer_slice(&message)), 0);
        assert_int_equal(receive(pair->listener, osr_buffer_slice(&message)), 0);
    }
    assert_int_equal(read_all(pair->listener), size);
    assert_true(osr_message_link_peer_has_ended(pair->listener));
    while (produce(pair->listener, &message)) {
        assert_int_equal(receive(pair->dialler, osr_buffer_slice(&message)), 0);
        assert_int_equal(receive(pair->dialler, osr_buffer_slice(&message)), 0);
    }
    osr_buffer_done(&message);
}

/* One that is missing ends the link as soon as the next one comes. */
static void a_gap_ends_it(void **state)
{
    struct pair *pair = *state;
    struct osr_buffer message = {0};
    write_bytes(pair->dialler, "one", 3);
    assert_true(produce(pair->dialler, &message));
    write_bytes(pair->dialler, "two", 3);
    assert_true(produce(pair->dialler, &message));
    assert_int_equal(receive(pair->listener, osr_buffer_slice(&message)), OSR_UNAVAILABLE);
    osr_buffer_done(&message);
}

/* A lost tail has no next one: a probe tells. */
static void a_lost_tail_is_found_by_a_probe(void **state)
{
    struct pair *pair = *state;
    struct osr_buffer message = {0};
    write_bytes(pair->dialler, "lost", 4);
    assert_true(produce(pair->dialler, &message));
    assert_false(osr_message_link_is_acknowledged(pair->dialler));
    osr_message_link_probe(pair->dialler);
    assert_true(osr_message_link_is_probing(pair->dialler));
    assert_true(produce(pair->dialler, &message));
    assert_int_equal(receive(pair->listener, osr_buffer_slice(&message)), OSR_UNAVAILABLE);
    osr_buffer_done(&message);
}

/* The reply to a probe says what has come, and only the last probe's counts. */
static void a_probe_is_answered(void **state)
{
    struct pair *pair = *state;
    write_bytes(pair->dialler, "text", 4);
    osr_message_link_probe(pair->dialler);
    osr_message_link_probe(pair->dialler);
    assert_int_equal(
        receive_made_up(pair->dialler,
                        (struct osr_message_packet){.type = OSR_MESSAGE_PROBE_REPLY, .nonce = 1}),
        0);
    assert_true(osr_message_link_is_probing(pair->dialler)); /* not sent yet */
    settle(pair);
    assert_false(osr_message_link_is_probing(pair->dialler));
    osr_message_link_probe(pair->dialler);
    settle(pair);
    assert_true(osr_message_link_is_acknowledged(pair->dialler));
}

/* Who is not read offers no more than a small window; who is read offers up to the whole one. */
static void the_window_grows_as_it_is_read(void **state)
{
    struct pair *pair = *state;
    write_zeros(pair->dialler, 8 << 20);
    settle(pair);
    assert_int_equal(osr_message_link_unread(pair->listener), OSR_MESSAGE_WINDOW_BYTES_MIN);
    size_t most = 0;
    size_t sum = 0;
    while (sum < 8 << 20) {
        size_t size = read_all(pair->listener);
        assert_true(size > 0);
        sum += size;
        most = size > most ? size : most;
        settle(pair);
    }
    assert_int_equal(most, OSR_MESSAGE_WINDOW_BYTES);
    assert_int_equal(osr_message_link_queued(pair->dialler), 0);
}

/* However small they are, only so many packets are under way at a time. */
static void packets_under_way_are_limited(void **state)
{
    struct pair *pair = *state;
    struct osr_buffer message = {0};
    size_t count = 0;
    for (int i = 0; i < 2 * OSR_MESSAGE_WINDOW_NUMBERS; i++) {
        write_bytes(pair->dialler, "x", 1);
        count += produce(pair->dialler, &message);
    }
    assert_int_equal(count, OSR_MESSAGE_WINDOW_NUMBERS);
    assert_int_equal(osr_message_link_queued(pair->dialler), OSR_MESSAGE_WINDOW_NUMBERS);
    osr_buffer_done(&message);
}

/* A CREDIT that was lost is renewed by the reply to a probe. */
static void a_lost_credit_is_renewed(void **state)
{
    struct pair *pair = *state;
    struct osr_buffer message = {0};
    write_zeros(pair->dialler, (size_t)2 * OSR_MESSAGE_WINDOW_BYTES_MIN);
    settle(pair);
    read_all(pair->listener);
    while (produce(pair->listener, &message)) { /* lost */
    }
    assert_false(produce(pair->dialler, &message));
    osr_message_link_probe(pair->dialler);
    settle(pair);
    assert_int_equal(read_all(pair->listener), OSR_MESSAGE_WINDOW_BYTES_MIN);
    osr_buffer_done(&message);
}

/* The end comes behind all bytes, is told once they are read, and nothing comes behind it. */
static void the_end_comes_last(void **state)
{
    struct pair *pair = *state;
    write_bytes(pair->dialler, "text", 4);
    osr_message_link_end(pair->dialler);
    assert_false(osr_message_link_has_ended(pair->dialler));
    settle(pair);
    assert_true(osr_message_link_has_ended(pair->dialler));
    assert_false(osr_message_link_peer_has_ended(pair->listener));
    assert_int_equal(read_all(pair->listener), 4);
    assert_true(osr_message_link_peer_has_ended(pair->listener));
    assert_int_equal(
        receive_made_up(pair->listener, (struct osr_message_packet){.type = OSR_MESSAGE_DATA,
                                                                    .number = 3,
                                                                    .bytes = osr_slice("x", 1)}),
        OSR_UNAVAILABLE);
}

/* A reset ends it; once both sides have said all it comes too late to matter. */
static void a_reset_ends_it(void **state)
{
    struct pair *pair = *state;
    const struct osr_message_packet reset = {.type = OSR_MESSAGE_RESET, .code = 4711};
    assert_int_equal(receive_made_up(pair->listener, reset), OSR_UNAVAILABLE);
    osr_message_link_end(pair->dialler);
    osr_message_link_end(pair->listener);
    settle(pair);
    assert_int_equal(receive_made_up(pair->listener, reset), 0);
}

/* Who sends further than was offered, or has received what was never sent, breaks the rules. */
static void who_breaks_the_rules_is_told(void **state)
{
    struct pair *pair = *state;
    static const uint8_t piece[OSR_MESSAGE_PIECE_BYTES];
    struct osr_message_packet data = {.type = OSR_MESSAGE_DATA, .number = 1};
    data.bytes = osr_slice(piece, sizeof(piece));
    assert_int_equal(receive_made_up(pair->listener, data), 0);
    data.number = 2;
    data.bytes.size = 1;
    assert_int_equal(receive_made_up(pair->listener, data), OSR_FLOW_CONTROL);
    const struct osr_message_packet credit = {.type = OSR_MESSAGE_CREDIT, .credit.received = 1};
    assert_int_equal(receive_made_up(pair->dialler, credit), OSR_MALFORMED);
}

/* ---- simulated: a broker that does what it likes ---- */

enum { SEEDS = 200, STEPS = 3000, BOX = 512 };

struct way {
    struct osr_message_link *from;
    struct osr_message_link *to;
    struct osr_buffer box[BOX];
    size_t count;
    uint64_t written, read;
};

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7);
}

static void sim_write(struct osr_random *random, struct way *way)
{
    uint8_t data[700];
    size_t size = 1 + osr_random_below(random, sizeof(data));
    for (size_t i = 0; i < size; i++) {
        data[i] = byte_at(way->written++);
    }
    write_bytes(way->from, data, size);
}

static void sim_read(struct osr_random *random, struct way *way)
{
    uint8_t room[900];
    size_t size = osr_message_link_read(way->to, room, 1 + osr_random_below(random, sizeof(room)));
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(room[i], byte_at(way->read++)); /* in order, nothing twice */
    }
}

static void take_out(struct way *way, size_t at)
{
    osr_buffer_done(&way->box[at]);
    way->count--;
    memmove(&way->box[at], &way->box[at + 1], (way->count - at) * sizeof(way->box[0]));
    way->box[way->count] = (struct osr_buffer){0};
}

/* False: the link is over. */
static bool sim_deliver(struct osr_random *random, struct way *way, double chaos)
{
    if (way->count == 0) {
        return true;
    }
    bool is_mixed_up = osr_random_chance(random, chaos);
    size_t at = is_mixed_up ? osr_random_below(random, way->count) : 0;
    int code = 0;
    if (!osr_random_chance(random, chaos)) { /* else it is lost */
        code = receive(way->to, osr_buffer_slice(&way->box[at]));
    }
    if (!osr_random_chance(random, 2 * chaos)) { /* else it comes again */
        take_out(way, at);
    }
    assert_true(code == 0 || code == OSR_UNAVAILABLE);
    return code == 0;
}

static void sim_send(struct way *way)
{
    if (way->count < BOX && !produce(way->from, &way->box[way->count])) {
        return;
    }
    way->count += way->count < BOX;
}

/* What arrives is what was sent, in order and once, up to where the link ended. */
static bool run_seed(uint64_t seed, double chaos)
{
    struct osr_random random;
    struct pair pair;
    osr_random_init(&random, seed);
    create(&pair);
    struct way *ways = osr_alloc(2 * sizeof(*ways));
    ways[0] = (struct way){.from = pair.dialler, .to = pair.listener};
    ways[1] = (struct way){.from = pair.listener, .to = pair.dialler};
    bool is_alive = true;
    for (int step = 0; step < STEPS && is_alive; step++) {
        struct way *way = &ways[osr_random_below(&random, 2)];
        switch (osr_random_below(&random, 8)) {
        case 0:
            sim_write(&random, way);
            break;
        case 1:
            osr_message_link_probe(way->from);
            break;
        case 2:
        case 3:
            sim_read(&random, way);
            break;
        case 4:
        case 5:
            sim_send(way);
            break;
        default:
            is_alive = sim_deliver(&random, way, chaos);
        }
        assert_in_range(osr_message_link_unread(way->to), 0, OSR_MESSAGE_WINDOW_BYTES);
    }
    for (size_t i = 0; i < 2 * (size_t)BOX; i++) {
        osr_buffer_done(&ways[i / BOX].box[i % BOX]);
    }
    assert_true(ways[0].read <= ways[0].written && ways[1].read <= ways[1].written);
    free(ways);
    osr_message_link_destroy(pair.dialler);
    osr_message_link_destroy(pair.listener);
    return is_alive;
}

/* With a good broker every seed lives; with a bad one many end, and none delivers anything wrong.
 */
static void whatever_a_broker_does_nothing_wrong_arrives(void **state)
{
    (void)state;
    int ended = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        assert_true(run_seed(seed, 0));
        ended += !run_seed(seed, 0.002);
    }
    assert_in_range(ended, SEEDS / 4, SEEDS);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packet_of_each_type_round_trips),
        cmocka_unit_test(what_is_no_packet_is_refused),
        CASE(small_writes_go_together),
        cmocka_unit_test(nothing_goes_out_before_it_is_up),
        CASE(doubles_are_dropped),
        CASE(a_gap_ends_it),
        CASE(a_lost_tail_is_found_by_a_probe),
        CASE(a_probe_is_answered),
        CASE(the_window_grows_as_it_is_read),
        CASE(packets_under_way_are_limited),
        CASE(a_lost_credit_is_renewed),
        CASE(the_end_comes_last),
        CASE(a_reset_ends_it),
        CASE(who_breaks_the_rules_is_told),
        cmocka_unit_test(whatever_a_broker_does_nothing_wrong_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
