# ring.rb THREADS SECONDS - tokens go round a ring of threads by queues; verifies that none is lost
n, seconds = ARGV[0].to_i, ARGV[1].to_f
queues = Array.new(n) { Queue.new }
hops = Array.new(n, 0)
threads = n.times.map do |i|
  Thread.new do
    while (token = queues[i].pop) != :stop
      hops[i] += 1
      queues[(i + 1) % n] << token
    end
  end
end
start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
4.times { |k| queues[k * n / 4] << k }
sleep seconds
total = hops.sum
elapsed = Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
queues.each { |q| q << :stop }
threads.each(&:join)
left = queues.flat_map { |q| Array.new(q.size) { q.pop } } - [:stop]
puts "#{left.sort == [0, 1, 2, 3] ? 'ok' : "lost: #{left}"} rate=#{(total / elapsed).round}"
