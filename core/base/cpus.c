/* /proc/self/cgroup says which groups the process is in, /proc/self/mountinfo where
 * their files are. A container sees its own group, or its own and some above, as
 * the root of the mount. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpus.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 4096 };

/* A hierarchy of groups that has to do with CPUs. */
typedef struct tree {
    bool is_v2;
    char group[PATH_MAX]; /* the process's, as the kernel calls it */
} tree;

/* Whether the word is one of a list with commas. */
static bool has_word(const char *list, const char *word) {
    size_t n = strlen(word);

    for (;;) {
        if (strncmp(list, word, n) == 0 && (!list[n] || list[n] == ','))
            return true;
        list = strchr(list, ',');
        if (!list++) return false;
    }
}

static FILE *open_file(const char *root, const char *folder, const char *name) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s%s/%s", root, folder, name);

    return n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
}

/* -- One group ------------------------------------------------------------- */

/* The numbers of a file of the kernel's, which are `count`; 0 for each that is none. */
static void read_numbers(const char *root, const char *folder, const char *name,
                         double *numbers, int count) {
    FILE *file = open_file(root, folder, name);
    char line[64] = "", *at = line;

    if (file) {
        if (!fgets(line, sizeof line, file)) *line = 0;
        fclose(file);
    }
    for (int i = 0; i < count; i++) numbers[i] = strtod(at, &at);
}

static double quota_of(double quota, double period) {
    return quota > 0 && period > 0 && isfinite(quota) && isfinite(period)
               ? quota / period
               : 0;
}

/* "MICROSECONDS PERIOD", or "max PERIOD". */
static double quota_v2(const char *root, const char *folder) {
    double n[2];

    read_numbers(root, folder, "cpu.max", n, 2);
    return quota_of(n[0], n[1]);
}

/* A quota of -1 is none. */
static double quota_v1(const char *root, const char *folder) {
    double quota, period;

    read_numbers(root, folder, "cpu.cfs_quota_us", &quota, 1);
    read_numbers(root, folder, "cpu.cfs_period_us", &period, 1);
    return quota_of(quota, period);
}

/* -- A group and those above ----------------------------------------------- */

static double least(double a, double b) {
    return a > 0 && (b <= 0 || a < b) ? a : b;
}

/* `folder` has the mount point, of `top` bytes, and the group below it. */
static double quota_up(const char *root, char *folder, size_t top, bool is_v2) {
    double quota = 0;

    for (;;) {
        quota = least(is_v2 ? quota_v2(root, folder) : quota_v1(root, folder),
                      quota);
        if (strlen(folder) <= top) return quota;
        *strrchr(folder, '/') = 0;
    }
}

/* The part of the group's path below the root of the mount; "" when it is that, or
 * not to be seen there. */
static const char *below(const char *group, const char *root) {
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

    if (strncmp(group, root, n) != 0 || strstr(group, "/..")) return "";
    group += n;
    return *group == '/' && group[1] ? group : "";
}

/* ID PARENT DEVICE ROOT POINT OPTIONS ... - TYPE SOURCE OPTIONS (proc(5)). */
static double quota_of_mount(const char *root, const tree *t, char *line) {
    char top[LINE], point[LINE], type[16], options[LINE], folder[PATH_MAX];
    const char *rest = strstr(line, " - ");
    int n;

    if (!rest || sscanf(line, "%*s %*s %*s %4095s %4095s", top, point) != 2 ||
        sscanf(rest, " - %15s %*s %4095s", type, options) != 2)
        return 0;
    if (strcmp(type, t->is_v2 ? "cgroup2" : "cgroup") != 0) return 0;
    if (!t->is_v2 && !has_word(options, "cpu")) return 0;
    n = snprintf(folder, sizeof folder, "%s%s", point, below(t->group, top));
    if (n < 0 || (size_t)n >= sizeof folder) return 0;
    return quota_up(root, folder, strlen(point), t->is_v2);
}

static double quota_of_tree(const char *root, const tree *t) {
    FILE *file = open_file(root, "/proc/self", "mountinfo");
    char line[LINE];
    double quota = 0;

    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        quota = least(quota_of_mount(root, t, line), quota);
    fclose(file);
    return quota;
}

/* "0::/GROUP" is version 2, "NUMBER:cpu,cpuacct:/GROUP" version 1. */
static bool read_tree(tree *t, char *line) {
    char *controllers = strchr(line, ':'),
         *group = controllers ? strchr(controllers + 1, ':') : NULL;

    if (!group) return false;
    *group++ = 0;
    group[strcspn(group, "\n")] = 0;
    if (strlen(group) >= sizeof t->group) return false;
    memcpy(t->group, group, strlen(group) + 1);
    t->is_v2 = controllers[1] == 0;
    return t->is_v2 || has_word(controllers + 1, "cpu");
}

double ct_cpus_quota(const char *root) {
    FILE *file = open_file(root, "/proc/self", "cgroup");
    char line[LINE];
    double quota = 0;
    tree t;

    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (read_tree(&t, line)) quota = least(quota_of_tree(root, &t), quota);
    fclose(file);
    return quota;
}

/* -- All ------------------------------------------------------------------- */

/* More than a cpu_set_t has is not worth another way. */
static long allowed(void) {
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    return sysconf(_SC_NPROCESSORS_ONLN);
}

uint32_t ct_cpus(void) {
    long n = allowed();
    double quota = ct_cpus_quota("");

    if (quota > 0 && quota <= (double)(n - 1)) {
        n = (long)quota;
        if ((double)n < quota) n++;
    }
    return n > 0 ? (uint32_t)n : 1;
}
