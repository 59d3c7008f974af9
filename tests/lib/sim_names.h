/* sim_names.h -- what the simulated disk knows of names: which path leads to which file or folder.
 * Used twice: for what is seen, and for what a power cut leaves. */
#ifndef OSR_TESTS_SIM_NAMES_H
#define OSR_TESTS_SIM_NAMES_H

#include "base/bytes.h"

struct node; /* a file's content or a folder: sim_disk.c's */

struct osr_sim_name {
    char *path;
    struct node *node;
};

/* Sorted by path. A zeroed one is empty and valid. */
struct osr_sim_names {
    struct osr_sim_name *items;
    size_t count;
};

struct node *osr_sim_names_get(const struct osr_sim_names *names, const char *path); /* or NULL */
void osr_sim_names_put(struct osr_sim_names *names, const char *path, struct node *node);
void osr_sim_names_remove(struct osr_sim_names *names, const char *path);
void osr_sim_names_clear(struct osr_sim_names *names);
void osr_sim_names_copy(struct osr_sim_names *to, const struct osr_sim_names *from);

/* Paths. The folder "." holds those without a slash. */
size_t osr_sim_folder_length(const char *path);
bool osr_sim_is_in_folder(const char *path, const char *folder);

#endif
