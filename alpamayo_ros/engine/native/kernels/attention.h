// Attention of some tokens, a panel of queries at a time: keys and values are read where they are.

struct Heads {
  int all, kv, width;
};

// What tokens may look at. columns: of each token, where it sees those up to its own. visible: of each token and
// column.
struct Seen {
  const float *keys, *values;  // of a column: (kv heads, width), each column `column_stride` after the one before
  int64_t column_stride;
  int end;
  const int64_t* columns;
  const uint8_t* visible;
  int64_t visible_stride;
};

inline int64_t attention_floats(int width, int end) { return PANEL * (2 * int64_t(width) + end); }

// Some of the queries of one key-value head.
struct Panel {
  float *queries, *scores, *mixed;  // (width, PANEL), (end, PANEL), (width, PANEL)
  int token[PANEL];
  int count, end;
};

// Scores of the keys that some query sees, and -1e30 where one does not.
inline void score(const Heads& heads, const Seen& seen, const float* keys, Panel& panel) {
  panel.end = seen.end;
  if (seen.columns) {
    panel.end = 0;
    for (int i = 0; i < panel.count; ++i) {
      const int mine = int(seen.columns[panel.token[i]]) + 1;
      panel.end = mine > panel.end ? mine : panel.end;
    }
  }
  panel_product(panel.end, Tile{heads.width, PANEL, keys, panel.queries, nullptr, seen.column_stride, 1, PANEL,
                                panel.scores, false});
  for (int i = 0; i < panel.count; ++i) {
    if (seen.columns) {
      for (int64_t key = seen.columns[panel.token[i]] + 1; key < panel.end; ++key)
        panel.scores[key * PANEL + i] = -1e30f;
    } else if (seen.visible) {
      const uint8_t* visible = seen.visible + panel.token[i] * seen.visible_stride;
      for (int key = 0; key < panel.end; ++key)
        if (!visible[key]) panel.scores[key * PANEL + i] = -1e30f;
    }
  }
}

// Scores to shares that sum to 1 but for the factors (PANEL,) given back.
inline void weigh(Panel& panel, Lanes (&factors)[2]) {
  for (int half = 0; half < 2; ++half) {
    float* scores = panel.scores + half * LANES;
    Lanes highest = load(scores);
    for (int key = 1; key < panel.end; ++key) {
      const Lanes x = load(scores + key * PANEL);
      highest = x > highest ? x : highest;
    }
    Lanes sum = {};
    for (int key = 0; key < panel.end; ++key) {
      const Lanes share = exponential(load(scores + key * PANEL) - highest);
      store(scores + key * PANEL, share);
      sum += share;
    }
    factors[half] = 1.0f / sum;
  }
}

// Attention of tokens whose queries (count, heads, width) are scaled; to mixed, likewise, rows behind each other with
// these strides.
inline void attend(const Heads& heads, const Seen& seen, Range tokens, const float* queries, int64_t queries_stride,
                   float* mixed, int64_t mixed_stride, float* scratch) {
  const int width = heads.width, groups = heads.all / heads.kv, count = tokens.end - tokens.begin;
  Panel panel{scratch, scratch + 2 * width * PANEL, scratch + width * PANEL, {}, 0, 0};
  for (int kv_head = 0; kv_head < heads.kv; ++kv_head) {
    for (int first = 0; first < groups * count; first += PANEL) {
      const int left = groups * count - first;
      panel.count = left < PANEL ? left : PANEL;
      int row[PANEL], column[PANEL];
      for (int i = 0; i < PANEL; ++i) {
        // What is left of a panel repeats a query.
        const int query = i < panel.count ? first + i : first;
        row[i] = query % count;
        column[i] = (kv_head * groups + query / count) * width;
        panel.token[i] = tokens.begin + row[i];
      }
      for (int i = 0; i < PANEL; ++i)
        for (int k = 0; k < width; ++k) panel.queries[k * PANEL + i] = queries[row[i] * queries_stride + column[i] + k];
      score(heads, seen, seen.keys + kv_head * width, panel);
      Lanes factors[2];
      weigh(panel, factors);
      panel_product(width, Tile{panel.end, PANEL, seen.values + kv_head * width, panel.scores, nullptr, 1,
                                seen.column_stride, PANEL, panel.mixed, false});
      for (int k = 0; k < width; ++k)
        for (int half = 0; half < 2; ++half) {
          float* part = panel.mixed + k * PANEL + half * LANES;
          store(part, load(part) * factors[half]);
        }
      for (int i = 0; i < panel.count; ++i)
        for (int k = 0; k < width; ++k) mixed[row[i] * mixed_stride + column[i] + k] = panel.mixed[k * PANEL + i];
    }
  }
}
