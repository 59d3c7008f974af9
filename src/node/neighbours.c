#include "node/neighbours.h"

#include <stdlib.h>

#include "model/limits.h"
#include "node/follow_file.h"
#include "node/mirror.h"

struct osr_neighbours {
    struct osr_file_worker *files; /* NULL where no file is followed or mirrored */
    struct osr_seed_peer *seeds[OSR_PEERS_MAX];
    size_t seed_count;
    struct osr_follow_file *follows[OSR_CONFIG_FOLLOW_FILES_MAX];
    size_t follow_count;
    struct osr_mirror *mirror;
    struct osr_events *events[OSR_EVENTS_TARGETS_MAX];
    size_t events_count;
};

static int start_seeds(struct osr_neighbours *neighbours,
                       const struct osr_neighbours_options *options, struct osr_err *err)
{
    for (size_t i = 0; i < options->config->peer_count; i++) {
        const struct osr_seed_peer_options seed = {.loop = options->loop,
                                                   .knowledge = options->knowledge,
                                                   .journal = options->journal,
                                                   .url = &options->config->peer[i],
                                                   .trace = options->trace};
        if (!osr_config_is_seed(seed.url)) {
            continue;
        }
        int code = osr_seed_peer_start(&seed, &neighbours->seeds[neighbours->seed_count], err);
        if (code != 0) {
            return code;
        }
        neighbours->seed_count++;
    }
    return 0;
}

static void start_follows(struct osr_neighbours *neighbours,
                          const struct osr_neighbours_options *options)
{
    for (size_t i = 0; i < options->config->follow_file_count; i++) {
        const struct osr_follow_file_options follow = {.loop = options->loop,
                                                       .files = neighbours->files,
                                                       .knowledge = options->knowledge,
                                                       .journal = options->journal,
                                                       .path = options->config->follow_file[i],
                                                       .trace = options->trace};
        neighbours->follows[neighbours->follow_count++] = osr_follow_file_start(&follow);
    }
}

static void start_mirror(struct osr_neighbours *neighbours,
                         const struct osr_neighbours_options *options)
{
    const struct osr_mirror_options mirror = {.loop = options->loop,
                                              .files = neighbours->files,
                                              .knowledge = options->knowledge,
                                              .path = options->config->mirror,
                                              .interval_ms = options->config->mirror_ms,
                                              .trace = options->trace};
    if (mirror.path != NULL) {
        neighbours->mirror = osr_mirror_start(&mirror);
    }
}

static int start_events(struct osr_neighbours *neighbours,
                        const struct osr_neighbours_options *options, struct osr_err *err)
{
    for (size_t i = 0; i < options->config->events.target_count; i++) {
        const struct osr_events_options events = {.loop = options->loop,
                                                  .knowledge = options->knowledge,
                                                  .journal = options->journal,
                                                  .target = &options->config->events.targets[i],
                                                  .instance = options->instance,
                                                  .data_folder = options->config->data,
                                                  .trace = options->trace};
        int code = osr_events_start(&events, &neighbours->events[neighbours->events_count], err);
        if (code != 0) {
            return code;
        }
        neighbours->events_count++;
    }
    return 0;
}

int osr_neighbours_open(const struct osr_neighbours_options *options,
                        struct osr_neighbours **ret_neighbours, struct osr_err *err)
{
    bool has_files = options->config->follow_file_count > 0 || options->config->mirror != NULL;
    struct osr_neighbours *neighbours = osr_alloc(sizeof *neighbours);
    int code = 0;

    if (has_files) {
        code = osr_file_worker_create(options->loop, "files", &neighbours->files, err);
    }
    if (code == 0) {
        code = start_seeds(neighbours, options, err);
    }
    if (code == 0) {
        code = start_events(neighbours, options, err);
    }
    if (code != 0) {
        osr_neighbours_close(neighbours);
        return code;
    }
    start_follows(neighbours, options);
    start_mirror(neighbours, options);
    *ret_neighbours = neighbours;
    return 0;
}

void osr_neighbours_close(struct osr_neighbours *neighbours)
{
    if (neighbours == NULL) {
        return;
    }
    for (size_t i = 0; i < neighbours->seed_count; i++) {
        osr_seed_peer_stop(neighbours->seeds[i]);
    }
    for (size_t i = 0; i < neighbours->events_count; i++) {
        osr_events_stop(neighbours->events[i]);
    }
    for (size_t i = 0; i < neighbours->follow_count; i++) {
        osr_follow_file_stop(neighbours->follows[i]);
    }
    osr_mirror_stop(neighbours->mirror);
    osr_file_worker_destroy(neighbours->files); /* hands back the jobs of those just stopped */
    free(neighbours);
}

size_t osr_neighbours_seed_count(const struct osr_neighbours *neighbours)
{
    return neighbours->seed_count;
}

struct osr_seed_peer *osr_neighbours_seed(const struct osr_neighbours *neighbours, size_t index)
{
    return neighbours->seeds[index];
}

size_t osr_neighbours_events_count(const struct osr_neighbours *neighbours)
{
    return neighbours->events_count;
}

const struct osr_events *osr_neighbours_events(const struct osr_neighbours *neighbours,
                                               size_t index)
{
    return neighbours->events[index];
}

static bool is_same_url(const char *full, const char *given)
{
    size_t address_size = strcspn(full, "?");

    return strcmp(full, given) == 0 ||
           (strlen(given) == address_size && memcmp(full, given, address_size) == 0);
}

struct osr_seed_peer *osr_neighbours_find_seed(const struct osr_neighbours *neighbours,
                                               const char *url)
{
    for (size_t i = 0; i < neighbours->seed_count; i++) {
        struct osr_seed_peer_status status;
        osr_seed_peer_status(neighbours->seeds[i], &status);
        if (is_same_url(status.url, url)) {
            return neighbours->seeds[i];
        }
    }
    return NULL;
}
