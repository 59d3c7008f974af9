/* Attempts at passwords, on a clock that the test makes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "core/attempts.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static int set_up(void **state)
{
    *state = osr_attempts_create(1);
    return 0;
}

static int tear_down(void **state)
{
    osr_attempts_destroy(*state);
    return 0;
}

/* ---- scenarios ---- */

enum act { WRONG, RIGHT, FORGET };

struct step {
    const char *account;
    const char *address;
    uint64_t at_ms; /* since the scenario's begin */
    enum act act;
    uint64_t wait_ms; /* expected: 0 where it may be made */
};

struct scenario {
    const char *name;
    struct step steps[16]; /* up to one without an account */
};

static const struct scenario scenarios[] = {
    {"each wrong one behind the third makes a longer wait",
     {{"ana", "a", 0, WRONG, 0},
      {"ana", "a", 0, WRONG, 0},
      {"ana", "a", 0, WRONG, 0},
      {"ana", "a", 0, WRONG, 1 * SECOND},
      {"ana", "a", 999, WRONG, 1},
      {"ana", "a", 1 * SECOND, WRONG, 0},
      {"ana", "a", 1 * SECOND, WRONG, 2 * SECOND},
      {"ana", "a", 3 * SECOND, WRONG, 0},
      {"ana", "a", 3 * SECOND, WRONG, 4 * SECOND}}},
    {"an account's guessers wait for each other, but not for longer than half a minute",
     {{"ana", "a", 0, WRONG, 0},
      {"ana", "b", 0, WRONG, 0},
      {"ana", "c", 0, WRONG, 0},
      {"ana", "d", 1 * SECOND, WRONG, 0},
      {"ana", "e", 3 * SECOND, WRONG, 0},
      {"ana", "f", 7 * SECOND, WRONG, 0},
      {"ana", "g", 15 * SECOND, WRONG, 0},
      {"ana", "h", 31 * SECOND, WRONG, 0},
      {"ana", "i", 31 * SECOND, WRONG, 30 * SECOND},
      {"ana", "j", 61 * SECOND, WRONG, 0},
      {"ana", "k", 61 * SECOND, WRONG, 30 * SECOND},
      {"bob", "k", 61 * SECOND, WRONG, 0}}},
    {"an address waits over all accounts",
     {{"ana", "a", 0, WRONG, 0},
      {"bob", "a", 0, WRONG, 0},
      {"cyd", "a", 0, WRONG, 0},
      {"dan", "a", 0, WRONG, 1 * SECOND},
      {"dan", "b", 0, WRONG, 0}}},
    {"the owner gets in from a known address while strangers make the account wait",
     {{"ana", "home", 0, RIGHT, 0},
      {"ana", "a", 1, WRONG, 0},
      {"ana", "b", 1, WRONG, 0},
      {"ana", "c", 1, WRONG, 0},
      {"ana", "d", 1, WRONG, 1 * SECOND},
      {"ana", "home", 2, WRONG, 0},
      {"ana", "home", 2, WRONG, 0},
      {"ana", "home", 2, RIGHT, 0},
      {"ana", "home", 2, RIGHT, 0},
      {"ana", "d", 2, WRONG, 999}}},
    {"a known address gets in while others' wrong attempts make it wait",
     {{"ana", "office", 0, RIGHT, 0},
      {"eve", "office", 0, WRONG, 0},
      {"eve", "office", 0, WRONG, 0},
      {"bob", "office", 0, WRONG, 0},
      {"bob", "office", 0, WRONG, 1 * SECOND},
      {"ana", "office", 0, RIGHT, 0}}},
    {"a guesser's own right password clears neither his address nor the account he tries",
     {{"eve", "a", 0, RIGHT, 0},
      {"ana", "a", 0, WRONG, 0},
      {"ana", "a", 0, WRONG, 0},
      {"eve", "a", 0, RIGHT, 0},
      {"ana", "a", 0, WRONG, 0},
      {"eve", "a", 0, RIGHT, 0},
      {"ana", "a", 0, WRONG, 1 * SECOND},
      {"ana", "b", 0, WRONG, 1 * SECOND}}},
    {"a guesser at a known address waits, too",
     {{"ana", "cafe", 0, RIGHT, 0},
      {"ana", "cafe", 0, WRONG, 0},
      {"ana", "cafe", 0, WRONG, 0},
      {"ana", "cafe", 0, WRONG, 0},
      {"ana", "cafe", 0, WRONG, 1 * SECOND}}},
    {"an hour forgives one, a day all",
     {{"ana", "a", 0, WRONG, 0},
      {"ana", "a", 0, WRONG, 0},
      {"ana", "a", 0, WRONG, 0},
      {"ana", "a", HOUR, WRONG, 0},
      {"ana", "a", HOUR, WRONG, 1 * SECOND},
      {"ana", "a", DAY, WRONG, 0},
      {"ana", "a", DAY, WRONG, 0},
      {"ana", "a", DAY, WRONG, 0},
      {"ana", "a", DAY, WRONG, 1 * SECOND}}},
    {"what nobody looked at does not count",
     {{"ana", "a", 0, WRONG, 0},
      {"ana", "a", 0, WRONG, 0},
      {"ana", "a", 0, FORGET, 0},
      {"ana", "a", 0, FORGET, 0},
      {"ana", "a", 0, WRONG, 0},
      {"ana", "a", 0, WRONG, 1 * SECOND}}},
    {"an address is known for a month",
     {{"ana", "home", 0, RIGHT, 0},
      {"ana", "a", 30ull * DAY - 1, WRONG, 0},
      {"ana", "b", 30ull * DAY - 1, WRONG, 0},
      {"ana", "c", 30ull * DAY - 1, WRONG, 0},
      {"ana", "home", 30ull * DAY - 1, WRONG, 0},
      {"ana", "home", 30ull * DAY, WRONG, 1 * SECOND - 1}}},
};

static void run_step(struct osr_attempts *attempts, const struct step *step, const char *scenario,
                     size_t number)
{
    const uint64_t begin_ms = 1000ull * DAY;
    uint64_t now_ms = begin_ms + step->at_ms;
    uint64_t wait_ms = osr_attempts_begin(attempts, step->account, step->address, now_ms);
    if (wait_ms != step->wait_ms) {
        fail_msg("%s: step %zu waits %llu ms", scenario, number, (unsigned long long)wait_ms);
    }
    if (wait_ms == 0 && step->act == RIGHT) {
        osr_attempts_succeed(attempts, step->account, step->address, now_ms);
    }
    if (wait_ms == 0 && step->act == FORGET) {
        osr_attempts_forget(attempts, step->account, step->address);
    }
}

/* The table above. */
static void attempts_wait_as_in_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        const struct scenario *scenario = &scenarios[i];
        struct osr_attempts *attempts = osr_attempts_create(1);
        for (size_t at = 0; at < 16 && scenario->steps[at].account != NULL; at++) {
            run_step(attempts, &scenario->steps[at], scenario->name, at);
        }
        osr_attempts_destroy(attempts);
    }
}

/* ---- at length ---- */

/* The longest wait is reached and not passed, however long a guesser goes on. */
static void attempts_of_a_stubborn_guesser_wait_half_a_minute_at_most(void **state)
{
    uint64_t now_ms = 0;
    uint64_t longest_ms = 0;
    for (int i = 0; i < 5000; i++) {
        char address[32];
        snprintf(address, sizeof(address), "10.0.%d.%d", i / 256, i % 256);
        uint64_t wait_ms = osr_attempts_begin(*state, "ana", address, now_ms);
        longest_ms = wait_ms > longest_ms ? wait_ms : longest_ms;
        now_ms += wait_ms;
    }
    assert_int_equal(longest_ms, OSR_ATTEMPTS_ACCOUNT_WAIT_MAX_MS);
    /* And all of it is forgiven in a day. */
    for (int i = 0; i < OSR_ATTEMPTS_FREE; i++) {
        assert_int_equal(osr_attempts_begin(*state, "ana", "10.1.1.1", now_ms + DAY), 0);
    }
}

/* One address that tries a list of accounts gets through a few hundred in a day. */
static void attempts_from_one_address_at_many_accounts_are_few(void **state)
{
    int made = 0;
    uint64_t now_ms = 0;
    while (now_ms < DAY) {
        char account[32];
        snprintf(account, sizeof(account), "user%d", made);
        uint64_t wait_ms = osr_attempts_begin(*state, account, "10.0.0.1", now_ms);
        made += wait_ms == 0;
        now_ms += wait_ms;
    }
    assert_in_range(made, 100, DAY / OSR_ATTEMPTS_ADDRESS_WAIT_MAX_MS + 40);
}

/* Every second up to then, and then, too. */
static void guess_until(struct osr_attempts *attempts, uint64_t *now_ms, uint64_t end_ms)
{
    for (; *now_ms < end_ms; *now_ms += SECOND) {
        osr_attempts_begin(attempts, "ana", "guesser", *now_ms);
    }
    osr_attempts_begin(attempts, "ana", "guesser", *now_ms);
}

/* A new place has its turn against a guesser with one address, who himself waits for longer than
 * the account does: who waits as long as told gets in at the third try at the latest. */
static void attempts_of_an_owner_at_a_new_place_get_a_turn(void **state)
{
    uint64_t now_ms = 0;
    uint64_t wait_ms;
    int tries = 0;
    guess_until(*state, &now_ms, HOUR);
    do {
        wait_ms = osr_attempts_begin(*state, "ana", "hotel", now_ms);
        guess_until(*state, &now_ms, now_ms + wait_ms);
        tries++;
    } while (wait_ms > 0 && tries < 100);
    assert_in_range(tries, 1, 3);
}

/* However many names are made up, the account that is guarded stays so, and who is known, known. */
static void attempts_at_made_up_accounts_push_out_nothing(void **state)
{
    uint64_t now_ms = 0;
    assert_int_equal(osr_attempts_begin(*state, "ana", "home", now_ms), 0);
    osr_attempts_succeed(*state, "ana", "home", now_ms);
    for (int i = 0; i < 100; i++) {
        char address[32];
        snprintf(address, sizeof(address), "guesser%d", i);
        now_ms += osr_attempts_begin(*state, "ana", address, now_ms);
    }
    for (int i = 0; i < 4 * OSR_ATTEMPTS_COUNTS; i++) {
        char account[32];
        char address[32];
        snprintf(account, sizeof(account), "made-up%d", i);
        snprintf(address, sizeof(address), "net%d", i);
        osr_attempts_begin(*state, account, address, now_ms);
    }
    assert_true(osr_attempts_begin(*state, "ana", "elsewhere", now_ms) > 0);
    assert_int_equal(osr_attempts_begin(*state, "ana", "home", now_ms), 0);
}

/* Of many places of one account those that are used stay known. */
static void attempts_know_the_places_used_last(void **state)
{
    uint64_t now_ms = 1;
    osr_attempts_succeed(*state, "ana", "home", now_ms);
    for (int i = 0; i < 100; i++, now_ms++) {
        char address[32];
        snprintf(address, sizeof(address), "place%d", i);
        osr_attempts_succeed(*state, "ana", address, now_ms);
        assert_int_equal(osr_attempts_begin(*state, "ana", "home", now_ms), 0);
        osr_attempts_forget(*state, "ana", "home");
    }
    for (int i = 0; i < OSR_ATTEMPTS_FREE; i++) {
        assert_int_equal(osr_attempts_begin(*state, "ana", "place0", now_ms), 0);
    }
    assert_true(osr_attempts_begin(*state, "ana", "place0", now_ms) > 0);
    assert_true(osr_attempts_begin(*state, "ana", "place92", now_ms) > 0);
    assert_int_equal(osr_attempts_begin(*state, "ana", "place93", now_ms), 0);
    assert_int_equal(osr_attempts_begin(*state, "ana", "home", now_ms), 0);
}

/* ---- whatever the interleaving ---- */

enum { WAITING_MAX = 4, RUNS = 60 };

/* A guesser with many addresses and an account of his own, who can also see to it that attempts
 * come to nothing; and the owner, who logs in now and then, from anywhere. */
struct siege {
    struct osr_attempts *attempts;
    struct osr_random random;
    uint64_t now_ms;
    uint64_t eagerness; /* how much he waits between attempts: 0 not at all */
    uint32_t guesses;   /* judged ones, at the owner's account */
    struct {
        char address[32];
        bool is_there;
    } waiting[WAITING_MAX]; /* begun, without a verdict as yet */
};

static void address_of(struct siege *siege, const char *kind, uint64_t count, char *address)
{
    snprintf(address, 32, "%s%u", kind, (unsigned)osr_random_below(&siege->random, count));
}

static void guess(struct siege *siege)
{
    size_t place = (size_t)osr_random_below(&siege->random, WAITING_MAX);
    if (siege->waiting[place].is_there) {
        siege->waiting[place].is_there = false;
        if (osr_random_chance(&siege->random, 0.3)) {
            osr_attempts_forget(siege->attempts, "owner", siege->waiting[place].address);
            siege->guesses--;
        }
        return;
    }
    address_of(siege, "net", 100000, siege->waiting[place].address);
    if (osr_attempts_begin(siege->attempts, "owner", siege->waiting[place].address,
                           siege->now_ms) == 0) {
        siege->waiting[place].is_there = true;
        siege->guesses++;
    }
}

static void log_in(struct siege *siege, const char *account, const char *kind, uint64_t places)
{
    char address[32];
    address_of(siege, kind, places, address);
    if (osr_attempts_begin(siege->attempts, account, address, siege->now_ms) == 0) {
        osr_attempts_succeed(siege->attempts, account, address, siege->now_ms);
    }
}

static void live_a_day(struct siege *siege)
{
    uint64_t end_ms = siege->now_ms + DAY;
    while (siege->now_ms < end_ms) {
        uint64_t choice = osr_random_below(&siege->random, 100);
        if (choice < 90) {
            guess(siege);
        } else if (choice < 95) {
            log_in(siege, "guesser", "net", 20);
        } else {
            log_in(siege, "owner", "trip", 50);
        }
        siege->now_ms += osr_random_below(&siege->random, siege->eagerness + 1);
    }
}

/* Never more guesses a day than the limit says, from whatever addresses, whatever comes to
 * nothing in between, and however often owner and guesser log in. */
static void attempts_allow_so_many_guesses_a_day_and_no_more(void **state)
{
    static const uint64_t eagerness[] = {2 * SECOND, 10 * SECOND, MINUTE, HOUR};
    uint32_t most = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct siege siege = {.attempts = osr_attempts_create(seed),
                              .eagerness = eagerness[seed % 4]};
        osr_random_init(&siege.random, seed);
        for (int day = 0; day < 2; day++) {
            siege.guesses = 0;
            live_a_day(&siege);
            if (siege.guesses > OSR_ATTEMPTS_ACCOUNT_DAY_MAX) {
                fail_msg("seed %u: %u guesses", (unsigned)seed, siege.guesses);
            }
            most = siege.guesses > most ? siege.guesses : most;
        }
        osr_attempts_destroy(siege.attempts);
    }
    /* The limit was reached for, or the runs say nothing. */
    assert_true(most > OSR_ATTEMPTS_ACCOUNT_DAY_MAX / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attempts_wait_as_in_the_table),
        cmocka_unit_test_setup_teardown(attempts_of_a_stubborn_guesser_wait_half_a_minute_at_most,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(attempts_from_one_address_at_many_accounts_are_few, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(attempts_of_an_owner_at_a_new_place_get_a_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(attempts_at_made_up_accounts_push_out_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(attempts_know_the_places_used_last, set_up, tear_down),
        cmocka_unit_test(attempts_allow_so_many_guesses_a_day_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
