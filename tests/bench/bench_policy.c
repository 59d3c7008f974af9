/* bench_policy.c -- what one access check costs with 1,000 rules.
 *
 * usage: bench_policy
 *
 * A line for each shape of rules and each answer: ns of CPU a check, over names in random order, so
 * that neither the cache nor the branch predictor has learnt them by heart. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "bench.h"
#include "model/policy.h"

enum {
    RULES = 1000,
    ROLES = 10, /* that the rules are spread over; the asked one has them all */
    QUESTIONS = 1 << 12,
    ROUNDS = 400,
    CHAIN = 100, /* prefixes within one another, of the shape "nested" */
};

#define LONG "customers/europe/by-country-and-town/2026/autumn/archive/read-only/documents"

struct names {
    char rule[OSR_POLICY_NAME_BYTES_MAX];
    char covered[OSR_POLICY_NAME_BYTES_MAX]; /* by that rule */
    char missed[OSR_POLICY_NAME_BYTES_MAX];  /* by all, this one narrowly */
};

typedef void make_names(struct names *names, size_t index);

static void make_exact(struct names *names, size_t index)
{
    sprintf(names->rule, "team-%zu", index * 7919);
    sprintf(names->covered, "team-%zu", index * 7919);
    sprintf(names->missed, "team-%zu~", index * 7919);
}

static void make_prefix(struct names *names, size_t index)
{
    sprintf(names->rule, "team-%zu/*", index * 7919);
    sprintf(names->covered, "team-%zu/document", index * 7919);
    sprintf(names->missed, "team-%zu~document", index * 7919);
}

/* Many bytes in front are the same, so that every comparison is long. */
static void make_long(struct names *names, size_t index)
{
    sprintf(names->rule, LONG "/%zu/*", index * 7919);
    sprintf(names->covered, LONG "/%zu/document", index * 7919);
    sprintf(names->missed, LONG "/%zu~document", index * 7919);
}

/* "0/aaaa*" within "0/aaa*" within ...: where walking from the narrowest outwards is slow. */
static void make_nested(struct names *names, size_t index)
{
    int depth = (int)(index % CHAIN);
    char letters[CHAIN + 1];

    memset(letters, 'a', CHAIN);
    letters[CHAIN] = '\0';
    sprintf(names->rule, "%zu/%.*s*", index / CHAIN, depth, letters);
    sprintf(names->covered, "%zu/%.*sb", index / CHAIN, depth, letters);
    sprintf(names->missed, "%zu~%.*sb", index / CHAIN, depth, letters);
}

struct shape {
    const char *name;
    make_names *make;
};

struct question {
    struct names names;
    struct osr_part part;
};

static void must(int code, const struct osr_err *err)
{
    if (code != 0) {
        fprintf(stderr, "bench_policy: %s\n", err->message);
        exit(1);
    }
}

static struct osr_policy *make_policy(const struct shape *shape)
{
    struct osr_policy_builder *builder = osr_policy_builder_create();
    struct osr_err err = {0};
    char role[32];

    must(osr_policy_add_member(builder, "user:ana", &err), &err);
    for (size_t i = 0; i < ROLES; i++) {
        sprintf(role, "role-%zu", i);
        must(osr_policy_add_role(builder, role, &err), &err);
        must(osr_policy_give_role(builder, "user:ana", role, "", &err), &err);
    }
    for (size_t i = 0; i < RULES; i++) {
        struct names names;
        shape->make(&names, i);
        char *part = osr_format("collection:%s", names.rule);
        sprintf(role, "role-%zu", i % ROLES);
        must(osr_policy_add_rule(builder, role, true, 1u << OSR_ACTION_READ, part, "", &err), &err);
        free(part);
    }
    return osr_policy_build(builder);
}

static void make_questions(const struct shape *shape, bool are_allowed, struct question *questions)
{
    struct osr_random random;

    osr_random_init(&random, 1);
    for (size_t i = 0; i < QUESTIONS; i++) {
        struct names *names = &questions[i].names;
        shape->make(names, osr_random_below(&random, RULES));
        questions[i].part =
            osr_part(OSR_PART_COLLECTION, are_allowed ? names->covered : names->missed);
    }
}

static void measure(const struct shape *shape, bool are_allowed)
{
    struct question *questions = osr_alloc(QUESTIONS * sizeof(*questions));
    struct osr_policy *policy = make_policy(shape);
    const struct osr_policy_subject *ana = osr_policy_subject(policy, "user:ana");
    size_t allowed = 0;

    make_questions(shape, are_allowed, questions);
    double began_ns = bench_cpu_ns();
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < QUESTIONS; i++) {
            allowed += osr_policy_allows(ana, OSR_ACTION_READ, questions[i].part);
        }
    }
    double ns = (bench_cpu_ns() - began_ns) / ((double)ROUNDS * QUESTIONS);
    if (allowed != (are_allowed ? (size_t)ROUNDS * QUESTIONS : 0)) {
        fprintf(stderr, "bench_policy: %s: a wrong answer\n", shape->name);
        exit(1);
    }
    printf("rules=%d shape=%s answer=%s ns=%.1f\n", RULES, shape->name,
           are_allowed ? "allowed" : "denied", ns);
    osr_policy_destroy(policy);
    free(questions);
}

int main(void)
{
    static const struct shape shapes[] = {
        {"exact", make_exact},
        {"prefix", make_prefix},
        {"long", make_long},
        {"nested", make_nested},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        measure(&shapes[i], true);
        measure(&shapes[i], false);
    }
    return 0;
}
