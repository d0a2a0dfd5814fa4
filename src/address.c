/* SPDX-License-Identifier: MIT */
/* address - see address.h */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "text.h"

void set_ip(struct address *address, const void *bytes, size_t count)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool is_mapped = count == 16 && memcmp(bytes, mapped, sizeof mapped) == 0;
    const uint8_t *from = is_mapped ? (const uint8_t *)bytes + sizeof mapped : bytes;
    inet_ntop(count == 4 || is_mapped ? AF_INET : AF_INET6, from, address->host, sizeof address->host);
}

bool set_host(struct address *address, const char *text)
{
    uint8_t bytes[16];
    size_t count = inet_pton(AF_INET, text, bytes) == 1 ? 4 : inet_pton(AF_INET6, text, bytes) == 1 ? 16 : 0;
    if (count > 0)
        set_ip(address, bytes, count);
    return count > 0;
}

void set_name(struct address *address, const char *name, size_t size)
{
    size_t length = strnlen(name, size < ADDRESS_SIZE ? size : ADDRESS_SIZE - 1);
    for (size_t i = 0; i < length; i++)
        address->host[i] = is_visible_except((struct slice){name + i, 1}, "\"\\") ? name[i] : '?';
    address->host[length] = '\0';
    address->port[0] = '\0';
}

bool set_port(struct address *address, const char *text)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] || (*text == '0' && digits > 1) || atoi(text) > UINT16_MAX)
        return false;
    snprintf(address->port, sizeof address->port, "%s", text);
    return true;
}

void describe_address(const struct address *address, char into[static ADDRESS_TEXT_SIZE])
{
    bool brackets = strchr(address->host, ':');
    char *end = stpcpy(stpcpy(into, brackets ? "[" : ""), address->host);
    end = stpcpy(stpcpy(end, brackets ? "]" : ""), *address->port ? ":" : "");
    stpcpy(end, address->port);
}
