/* SPDX-License-Identifier: Apache-2.0 */
#include "data/board.h"

bool ct_board_has(const ct_board *b, ct_worker_state state) {
    uint32_t workers = b->workers;

    for (uint32_t i = 0; i < workers && i < CT_WORKERS; i++)
        if (b->rows[i].state == state) return true;
    return false;
}
