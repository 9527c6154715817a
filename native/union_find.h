// Components of things that were united: a root is the first of its component.
#pragma once

#include "tilewise.h"

namespace tilewise {

inline std::int32_t root_of(std::int32_t* parent, std::int32_t item) {
    while (parent[item] != item) {
        parent[item] = parent[parent[item]];
        item = parent[item];
    }
    return item;
}

inline void unite(std::int32_t* parent, std::int32_t a, std::int32_t b) {
    if (parent[a] == parent[b]) return;
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

}  // namespace tilewise
