/* Opening below a folder, with openat2(2) and without; the cache's limits. */
/* SPDX-License-Identifier: Apache-2.0 */
#include "http/file.h"

#include "check.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef int opener(const char *, const char *, struct stat *, int *);

static char folder[64], root[80];

static void run(const char *command) {
    char line[512];

    snprintf(line, sizeof line, "cd %s && %s", folder, command);
    CHECK(system(line) == 0); /* NOLINT: a test */
}

static int try_open(opener *fn, const char *path) {
    struct stat st;
    int why = CT_OK, fd = fn(root, path, &st, &why);

    if (fd < 0) return why;
    CHECK(S_ISREG(st.st_mode));
    close(fd);
    return CT_OK;
}

static void test_open(opener *fn) {
    CHECK(try_open(fn, "a.txt") == CT_OK);
    CHECK(try_open(fn, "sub/b.txt") == CT_OK);
    CHECK(try_open(fn, "in") == CT_OK);
    CHECK(try_open(fn, "") == CT_FILE_FOLDER);
    CHECK(try_open(fn, "sub") == CT_FILE_FOLDER);
    CHECK(try_open(fn, "none") == CT_FILE_NONE);
    CHECK(try_open(fn, "a.txt/b") == CT_FILE_NONE);
    CHECK(try_open(fn, "out") == CT_FILE_DENIED);
    CHECK(try_open(fn, "sibling") == CT_FILE_DENIED);
    CHECK(try_open(fn, "absolute") == CT_FILE_DENIED);
    CHECK(try_open(fn, "loop") == CT_FILE_DENIED);
    CHECK(try_open(fn, "pipe") == CT_FILE_DENIED);
}

static ct_str str(const char *s) {
    return (ct_str){ s, (uint32_t)strlen(s) };
}

static void test_cache(void) {
    ct_files files;
    ct_file *f, *held;

    ct_files_init(&files);
    CHECK(ct_files_find(&files, str(root), str("a.txt"), 1, false, &f) ==
          CT_OK);
    CHECK(f->size == 1 && f->bytes && *f->bytes == 'a' && files.open == 0);
    held = ct_file_take(f);
    run("echo bb > root/a.txt");
    CHECK(ct_files_find(&files, str(root), str("a.txt"), 1000, false, &f) ==
              CT_OK &&
          f == held);
    CHECK(ct_files_find(&files, str(root), str("a.txt"), 1001, false, &f) ==
              CT_OK &&
          f->size == 3 && f != held);
    CHECK(*held->bytes == 'a'); /* who had the old one has it still */
    ct_file_give(&files, held);
    held = f;
    CHECK(ct_files_find(&files, str(root), str("a.txt"), 3000, false, &f) ==
              CT_OK &&
          f == held && f->checked == 3000);
    CHECK(ct_files_find(&files, str(root), str("big"), 1, false, &f) == CT_OK);
    CHECK(!f->bytes && f->size == 40000 && files.open == 1);
    CHECK(files.count == 2);
    /* What nobody asked for in a minute goes when something new comes. */
    CHECK(ct_files_find(&files, str(root), str("sub/b.txt"), 70000, false,
                        &f) == CT_OK);
    CHECK(files.count == 1 && files.open == 0);
    run("rm root/sub/b.txt");
    CHECK(ct_files_find(&files, str(root), str("sub/b.txt"), 70001, true, &f) ==
          CT_FILE_NONE);
    CHECK(files.count == 0);
    ct_files_fini(&files);
}

static void test_odd_paths(void) {
    static const char *const odd[] = { "/a.txt",  "sub/",     "sub//b.txt",
                                       "../x",    "sub/../a", ".git",
                                       "./a.txt", "sub/.b",   "a\\b",
                                       "sub/..",  "." };
    ct_files files;
    ct_file *f;

    ct_files_init(&files);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        CHECK(ct_files_find(&files, str(root), str(odd[i]), 1, false, &f) ==
              CT_FILE_ODD);
    CHECK(ct_files_find(&files, str(root), (ct_str){ "a\0b", 3 }, 1, false,
                        &f) == CT_FILE_ODD);
    ct_files_fini(&files);
}

int main(void) {
    snprintf(folder, sizeof folder, "/tmp/test_file.XXXXXX");
    if (!mkdtemp(folder)) return 1;
    snprintf(root, sizeof root, "%s/root", folder);
    run("mkdir -p root/sub root2; printf a > root/a.txt; echo b > "
        "root/sub/b.txt; echo s > root2/s; ln -s a.txt root/in");
    run("ln -s ../root2/s root/out; ln -s ../root2 root/sibling; ln -s "
        "/etc/passwd root/absolute; ln -s loop root/loop; mkfifo root/pipe; "
        "head -c 40000 /dev/zero > root/big");
    test_open(ct_file_open);
    test_open(ct_file_open_compared);
    test_odd_paths();
    test_cache();
    run("rm -r root root2");
    CHECK(rmdir(folder) == 0);
    return check_report();
}
