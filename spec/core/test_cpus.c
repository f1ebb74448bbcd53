/* Quotas of control groups, from files as the kernel has them. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpus.h"

#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char root[] = "/tmp/ctornado-cpus-XXXXXX";

static void run(const char *command) {
    char line[512];

    snprintf(line, sizeof line, command, root);
    CHECK(system(line) == 0);
}

/* A file below the root, with its folders. */
static void put(const char *path, const char *text) {
    char name[256], command[300];
    FILE *file;

    snprintf(name, sizeof name, "%s%s", root, path);
    snprintf(command, sizeof command, "mkdir -p $(dirname %s)", name);
    CHECK(system(command) == 0);
    file = fopen(name, "w");
    if (!CHECK(file != NULL)) return;
    fputs(text, file);
    fclose(file);
}

static void begin(const char *groups, const char *mounts) {
    run("rm -rf %s/*");
    put("/proc/self/cgroup", groups);
    put("/proc/self/mountinfo", mounts);
}

#define V2                                                                     \
    "30 23 0:26 / /cg rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define OTHER "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"

static void test_none(void) {
    run("rm -rf %s/*");
    CHECK(ct_cpus_quota(root) == 0);
    begin("", "");
    CHECK(ct_cpus_quota(root) == 0);
    begin("0::/a\n", OTHER V2);
    CHECK(ct_cpus_quota(root) == 0);
    put("/cg/a/cpu.max", "max 100000\n");
    CHECK(ct_cpus_quota(root) == 0);
    put("/cg/a/cpu.max", "garbage\n");
    CHECK(ct_cpus_quota(root) == 0);
    put("/cg/a/cpu.max", "100000 0\n");
    CHECK(ct_cpus_quota(root) == 0);
}

static void test_v2(void) {
    begin("0::/a/b\n", OTHER V2);
    put("/cg/a/b/cpu.max", "150000 100000\n");
    CHECK(ct_cpus_quota(root) == 1.5);
    put("/cg/a/cpu.max", "max 100000\n");
    CHECK(ct_cpus_quota(root) == 1.5);
    put("/cg/a/cpu.max", "50000 100000\n"); /* the group above has less */
    CHECK(ct_cpus_quota(root) == 0.5);
    put("/cg/a/cpu.max", "400000 100000\n");
    CHECK(ct_cpus_quota(root) == 1.5);
    put("/cpu.max", "1 100000\n"); /* above the mount: not the kernel's */
    CHECK(ct_cpus_quota(root) == 1.5);
}

/* With a namespace of its own the group is "/"; without one the mount's root is
 * the container's group. */
static void test_containers(void) {
    begin("0::/\n", V2);
    put("/cg/cpu.max", "200000 100000\n");
    CHECK(ct_cpus_quota(root) == 2);
    begin("0::/../other\n", V2);
    put("/cg/cpu.max", "300000 100000\n");
    CHECK(ct_cpus_quota(root) == 3);
    begin("0::/docker/x/y\n",
          "30 23 0:26 /docker/x /cg rw - cgroup2 cgroup2 rw\n");
    put("/cg/y/cpu.max", "200000 100000\n");
    put("/cg/cpu.max", "100000 100000\n");
    CHECK(ct_cpus_quota(root) == 1);
    begin("0::/docker/z\n",
          "30 23 0:26 /docker/x /cg rw - cgroup2 cgroup2 rw\n");
    put("/cg/cpu.max", "100000 50000\n");
    CHECK(ct_cpus_quota(root) == 2);
}

#define V1                                                                     \
    "31 23 0:27 / /cg/memory rw - cgroup cgroup rw,memory\n"                   \
    "32 23 0:28 / /cg/cpuset rw - cgroup cgroup rw,cpuset\n"                   \
    "33 23 0:29 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"

static void test_v1(void) {
    begin("9:name=systemd:/a\n5:cpuset:/\n4:memory:/m\n1:cpuacct,cpu:/a\n",
          OTHER V1);
    put("/cg/cpu/a/cpu.cfs_quota_us", "-1\n");
    put("/cg/cpu/a/cpu.cfs_period_us", "100000\n");
    CHECK(ct_cpus_quota(root) == 0);
    put("/cg/cpu/a/cpu.cfs_quota_us", "250000\n");
    CHECK(ct_cpus_quota(root) == 2.5);
    put("/cg/cpu/cpu.cfs_quota_us", "100000\n");
    put("/cg/cpu/cpu.cfs_period_us", "100000\n");
    CHECK(ct_cpus_quota(root) == 1);
}

/* Both versions are mounted, and cpu is one of version 1. */
static void test_hybrid(void) {
    begin("1:cpu:/a\n0::/b\n", V1 V2);
    put("/cg/cpu/a/cpu.cfs_quota_us", "400000\n");
    put("/cg/cpu/a/cpu.cfs_period_us", "100000\n");
    CHECK(ct_cpus_quota(root) == 4);
}

int main(void) {
    CHECK(mkdtemp(root) != NULL);
    test_none();
    test_v2();
    test_containers();
    test_v1();
    test_hybrid();
    CHECK(ct_cpus() >= 1);
    run("rm -rf %s");
    return check_report();
}
