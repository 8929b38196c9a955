/* SPDX-License-Identifier: Apache-2.0 */
/* A heap's beginning, and what there is to say when it is too small. */
#include "core/heap/heap_internal.h"

#include "core/heap/poison.h"

#include <string.h>

VINE__INSIDE void vine__heap_begin(struct vine__heap_head *head, uint32_t head_bytes,
                                   uint32_t size_bytes, uint32_t limit_bytes)
{
    memset(head, 0, sizeof(*head));
    head->magic = VINE__HEAP_MAGIC;
    head->head_bytes = head_bytes;
    head->size_bytes = size_bytes;
    head->limit_bytes = limit_bytes;
    head->segment = first_place(head);
    head->top = head->segment + HEADER;
    set_size(head, head->segment, end_place(head) - head->segment, USED | SEGMENT);
    block_at(head, end_place(head))->size = USED;
    VINE__HEAP_HIDE((unsigned char *)head + head->top, end_place(head) - head->top);
}

VINE__INSIDE static char *put_text(char *at, const char *text)
{
    while (*text != '\0')
        *at++ = *text++;
    return at;
}

VINE__INSIDE static char *put_number(char *at, uint32_t value)
{
    char digits[10];
    uint32_t count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

VINE__INSIDE void vine__heap_explain(const struct vine__heap_head *head,
                                     char ret_text[VINE__HEAP_WHY_BYTES])
{
    const uint32_t pages = head->refused_pages;
    char *at = ret_text;

    if (pages != 0) {
        at = put_number(put_text(at, "heap of "), head->size_bytes / PAGE_BYTES);
        at = put_number(put_text(at, " pages: "), head->refused_bytes);
        at = put_number(put_text(at, " bytes more would need "), pages);
        at = put_number(put_text(at, " pages, and "), head->limit_bytes / PAGE_BYTES);
        at = put_text(at, " are allowed");
    }
    *at = '\0';
}
