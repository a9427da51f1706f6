// moodycamel::ConcurrentQueue between two threads: nanoseconds a number, for bench/lockfree.ts. Arguments: numbers, rounds.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <concurrentqueue/concurrentqueue.h>

int main(int, char** arguments) {
  const uint32_t count = std::strtoul(arguments[1], nullptr, 10);
  const int rounds = std::atoi(arguments[2]);
  for (int round = 0; round < rounds; round += 1) {
    moodycamel::ConcurrentQueue<uint32_t> queue(4096);
    uint32_t sum = 0;
    const auto started = std::chrono::steady_clock::now();
    std::thread producer([&] {
      moodycamel::ProducerToken token(queue);
      for (uint32_t number = 0; number < count; number += 1)
        while (!queue.try_enqueue(token, number)) std::this_thread::yield();
    });
    moodycamel::ConsumerToken token(queue);
    for (uint32_t got = 0; got < count;) {
      uint32_t number;
      if (queue.try_dequeue(token, number)) {
        sum += number;
        got += 1;
      } else std::this_thread::yield();
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - started;
    producer.join();
    std::printf("%f %u\n", took.count() / count, sum);
  }
}
