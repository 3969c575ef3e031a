// The grid update of sojourn_perception in C++, for `sojourn bench grid`: project a depth image, sum per cell, fuse by a
// Kalman filter, forget the cells that are seen through. Same algorithm, same input, one thread.
//
// Usage: update JOB FOLDER RESULT. JOB holds whitespace-separated numbers (see `read`), FOLDER depth_K.f32; RESULT gets the
// heights and variances as 32-bit floats. Prints one JSON object.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kLeastDrop = 0.3;

struct Pose {
  double r[3][3];
  double t[3];
  void apply(const double p[3], double out[3]) const {
    for (int i = 0; i < 3; ++i) out[i] = r[i][0] * p[0] + r[i][1] * p[1] + r[i][2] * p[2] + t[i];
  }
  void unapply(const double p[3], double out[3]) const {
    const double d[3] = {p[0] - t[0], p[1] - t[1], p[2] - t[2]};
    for (int i = 0; i < 3; ++i) out[i] = r[0][i] * d[0] + r[1][i] * d[1] + r[2][i] * d[2];
  }
};

struct View {
  Pose odom_from_camera, odom_from_base;
  double travel;
  std::vector<float> depth;
};

struct Job {
  int width, height;
  double fx, fy, cx, cy;
  int n;
  double res, ox, oy, near, far, baseline, sigma_px;
  double drift_height, drift_along, floor, gate;
  int min_count;
  double clear_sigmas, below, beyond, own_rear, own_front, own_half;
  int runs;
  std::vector<View> views;
};

struct Sums {
  uint32_t count = 0;
  float low = std::numeric_limits<float>::infinity(), high = -std::numeric_limits<float>::infinity();
  double sum = 0, sum2 = 0, noise = 0;
  void add(double z, double noise2) {
    ++count;
    low = std::min(low, static_cast<float>(z));
    high = std::max(high, static_cast<float>(z));
    sum += z;
    sum2 += z * z;
    noise += noise2;
  }
  void join(const Sums& o) {
    count += o.count;
    low = std::min(low, o.low);
    high = std::max(high, o.high);
    sum += o.sum;
    sum2 += o.sum2;
    noise += o.noise;
  }
};

struct Cell {
  double height = kNan, variance = kNan, spread = 0, step = 0, along = 0, low = kNan, high = kNan;
  uint32_t count = 0;
  int64_t seen = -1;
  double travel = 0;
};

struct Seen {
  int cell;
  uint32_t count;
  double mean, variance, spread, step, along, low, high;
};

class Grid {
 public:
  explicit Grid(const Job& job) : job_(job), cells_(job.n * job.n), sums_(job.n * job.n) {}

  void clear() { std::fill(cells_.begin(), cells_.end(), Cell()); }

  void update(const View& view, int64_t stamp) {
    sum(view);
    fuse(view, stamp);
    forget(view, stamp);
  }

  const std::vector<Cell>& cells() const { return cells_; }

 private:
  void write(int cell, const Sums& run) {
    if (cell < 0) return;
    if (sums_[cell].count == 0) touched_.push_back(cell);
    sums_[cell].join(run);
  }

  void sum(const View& view) {
    const Job& j = job_;
    for (int i : touched_) sums_[i] = Sums();
    touched_.clear();
    const Pose& p = view.odom_from_camera;
    const double start[3] = {(p.t[0] - j.ox) / j.res, (p.t[1] - j.oy) / j.res, 0};
    const double scale[3] = {1 / j.res, 1 / j.res, 1};
    across_.resize(3 * j.width);
    for (int u = 0; u < j.width; ++u)
      for (int k = 0; k < 3; ++k) across_[3 * u + k] = p.r[k][0] * ((u - j.cx) / j.fx) * scale[k];
    const double sigma = j.sigma_px / (j.fx * j.baseline), side = j.n;
    for (int v = 0; v < j.height; ++v) {
      double base[3];
      for (int k = 0; k < 3; ++k) base[k] = (p.r[k][2] + p.r[k][1] * ((v - j.cy) / j.fy)) * scale[k];
      const float* line = view.depth.data() + static_cast<size_t>(v) * j.width;
      int cell = -1;
      Sums run;
      for (int u = 0; u < j.width; ++u) {
        const double z = line[u];
        if (!(z >= j.near && z <= j.far)) continue;
        const double x = start[0] + (base[0] + across_[3 * u]) * z;
        const double y = start[1] + (base[1] + across_[3 * u + 1]) * z;
        const double h = (base[2] + across_[3 * u + 2]) * z;
        if (!(x >= 0 && y >= 0 && x < side && y < side)) continue;
        const int i = static_cast<int>(y) * j.n + static_cast<int>(x);
        if (i != cell) {
          write(cell, run);
          cell = i;
          run = Sums();
        }
        const double noise = h * z * sigma;
        run.add(h, noise * noise);
      }
      write(cell, run);
    }
  }

  void fuse(const View& view, int64_t stamp) {
    const Job& j = job_;
    const double* t = view.odom_from_camera.t;
    for (int i : touched_) {
      const Sums& s = sums_[i];
      const double count = s.count, mean = s.sum / count;
      const double spread = s.count > 1 ? std::max(0.0, (s.sum2 - s.sum * mean) / (count - 1)) : 0.0;
      const double x = j.ox + (i % j.n + 0.5) * j.res, y = j.oy + (i / j.n + 0.5) * j.res;
      const double noise = s.noise / count;
      const double range = std::hypot(x - t[0], y - t[1]) / std::max(std::abs(mean), kLeastDrop);
      const Seen o{i,
                   s.count,
                   mean + t[2],
                   noise / count,
                   spread,
                   std::max(0.0, spread - noise),
                   noise / count * range * range,
                   s.low + t[2],
                   s.high + t[2]};
      const double at[3] = {x, y, o.mean};
      double local[3];
      view.odom_from_base.unapply(at, local);
      if (local[0] >= j.own_rear && local[0] <= j.own_front && std::abs(local[1]) <= j.own_half) continue;
      update_cell(cells_[i], o, view.travel, stamp);
    }
  }

  double drifted(const Cell& c, double travel) const {
    const double d = job_.drift_height * (travel - c.travel);
    return c.variance + d * d;
  }

  void update_cell(Cell& c, const Seen& o, double travel, int64_t stamp) const {
    const Job& j = job_;
    const double floor2 = j.floor * j.floor;
    const Cell fresh{o.mean, std::max(o.variance, floor2), o.spread, o.step, o.along, o.low, o.high, o.count, stamp, travel};
    if (c.count == 0) {
      c = fresh;
      return;
    }
    const double step = o.mean - c.height, before = drifted(c, travel), apart = step * step;
    double variance = std::max(o.variance, floor2);
    if (apart > j.gate * j.gate * (before + variance)) {
      const uint32_t least = j.min_count;
      if (o.count >= least || c.count < least) {
        c = fresh;
        return;
      }
      variance += apart;
    }
    const double gain = before / (before + variance), rest = 1 - gain, moved = j.drift_along * (travel - c.travel);
    c.along = (c.along + moved * moved) * rest * rest + o.along * gain * gain;
    c.spread = c.spread * rest + o.spread * gain + gain * rest * apart;
    c.step = c.step * rest + o.step * gain;
    c.height += gain * step;
    c.variance = std::max(rest * before, floor2);
    c.low = std::min(c.low, o.low);
    c.high = std::max(c.high, o.high);
    c.count += o.count;
    c.seen = std::max(c.seen, stamp);
    c.travel = std::max(c.travel, travel);
  }

  bool passes(const View& view, const double point[3], double beyond) const {
    const Job& j = job_;
    double p[3];
    view.odom_from_camera.unapply(point, p);
    if (!(p[2] > 1e-9)) return false;
    const double u = std::round(j.fx * p[0] / p[2] + j.cx), v = std::round(j.fy * p[1] / p[2] + j.cy);
    if (!(u >= 0 && v >= 0 && u < j.width && v < j.height)) return false;
    const double depth = view.depth[static_cast<size_t>(v) * j.width + static_cast<size_t>(u)];
    const double noise = j.sigma_px / (j.fx * j.baseline);
    return std::isfinite(depth) && depth - p[2] > beyond + j.clear_sigmas * noise * depth * depth;
  }

  void forget(const View& view, int64_t stamp) {
    static const double places[5][2] = {{0, 0}, {-0.5, -0.5}, {0.5, -0.5}, {-0.5, 0.5}, {0.5, 0.5}};
    const Job& j = job_;
    const Pose& p = view.odom_from_camera;
    const double ahead[3] = {p.r[0][2], p.r[1][2], p.r[2][2]}, reach2 = 2.25 * j.far * j.far;
    for (int row = 0; row < j.n; ++row) {
      for (int col = 0; col < j.n; ++col) {
        Cell& c = cells_[row * j.n + col];
        if (std::isnan(c.height) || c.seen == stamp) continue;
        const double x = j.ox + (col + 0.5) * j.res, y = j.oy + (row + 0.5) * j.res;
        const double dx = x - p.t[0], dy = y - p.t[1], dz = c.height - p.t[2];
        if (dx * ahead[0] + dy * ahead[1] + dz * ahead[2] <= 0 || dx * dx + dy * dy > reach2) continue;
        const double below = j.clear_sigmas * std::sqrt(drifted(c, view.travel) + c.spread) + j.below;
        bool through = true;
        for (const auto& place : places) {
          const double point[3] = {x + place[0] * j.res, y + place[1] * j.res, c.height - below};
          if (!passes(view, point, j.beyond * j.res)) {
            through = false;
            break;
          }
        }
        if (through) c = Cell();
      }
    }
  }

  const Job& job_;
  std::vector<Cell> cells_;
  std::vector<Sums> sums_;
  std::vector<int> touched_;
  std::vector<double> across_;
};

bool read_pose(std::ifstream& in, Pose& p) {
  for (int i = 0; i < 3; ++i) in >> p.r[i][0] >> p.r[i][1] >> p.r[i][2] >> p.t[i];
  return static_cast<bool>(in);
}

bool read(const std::string& path, const std::string& folder, Job& j) {
  std::ifstream in(path);
  size_t views = 0;
  in >> j.width >> j.height >> j.fx >> j.fy >> j.cx >> j.cy >> j.n >> j.res >> j.ox >> j.oy >> j.near >> j.far;
  in >> j.baseline >> j.sigma_px >> j.drift_height >> j.drift_along >> j.floor >> j.gate >> j.min_count;
  in >> j.clear_sigmas >> j.below >> j.beyond >> j.own_rear >> j.own_front >> j.own_half >> j.runs >> views;
  if (!in) return false;
  for (size_t k = 0; k < views; ++k) {
    View v;
    if (!read_pose(in, v.odom_from_camera) || !read_pose(in, v.odom_from_base) || !(in >> v.travel)) return false;
    v.depth.resize(static_cast<size_t>(j.width) * j.height);
    std::ifstream depth(folder + "/depth_" + std::to_string(k) + ".f32", std::ios::binary);
    if (!depth.read(reinterpret_cast<char*>(v.depth.data()), v.depth.size() * sizeof(float))) return false;
    j.views.push_back(std::move(v));
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Job job;
  if (argc != 4 || !read(argv[1], argv[2], job)) {
    std::fprintf(stderr, "usage: update JOB FOLDER RESULT, with a readable job\n");
    return 1;
  }
  Grid grid(job);
  std::vector<double> seconds;
  for (int run = 0; run < job.runs; ++run) {
    grid.clear();
    for (size_t k = 0; k < job.views.size(); ++k) {
      const auto begin = std::chrono::steady_clock::now();
      grid.update(job.views[k], static_cast<int64_t>(k));
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
  }
  std::ofstream out(argv[3], std::ios::binary);
  for (int layer = 0; layer < 2; ++layer) {
    for (const Cell& c : grid.cells()) {
      const float value = static_cast<float>(layer == 0 ? c.height : c.variance + c.spread);
      out.write(reinterpret_cast<const char*>(&value), sizeof value);
    }
  }
  if (!out.flush()) return 1;
  std::sort(seconds.begin(), seconds.end());
  std::printf("{\"seconds\": %.9f, \"version\": \"g++ %s -O3\"}\n", seconds[seconds.size() / 2], __VERSION__);
  return 0;
}
