// echo.rs CONNECTIONS SECONDS - Rust's threads: a thread for each end of each connection, channels,
// scoped threads, a panic that is caught by join
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

fn serve(mut s: TcpStream) {
    let mut b = [0u8; 64];
    while s.read_exact(&mut b).is_ok() {
        if s.write_all(&b).is_err() {
            break;
        }
    }
}

fn echo(n: usize, seconds: f64) -> (u64, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for s in listener.incoming() {
            let s = s.unwrap();
            s.set_nodelay(true).unwrap();
            thread::spawn(move || serve(s));
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..n)
        .map(|i| {
            let (stop, count) = (stop.clone(), count.clone());
            thread::spawn(move || {
                let mut s = TcpStream::connect(address).unwrap();
                s.set_nodelay(true).unwrap();
                let (mut good, mut k) = (true, i as u8);
                while !stop.load(Ordering::Relaxed) {
                    let (out, mut back) = ([k; 64], [0u8; 64]);
                    s.write_all(&out).unwrap();
                    s.read_exact(&mut back).unwrap();
                    good &= out == back;
                    k = k.wrapping_add(1);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                good
            })
        })
        .collect();
    thread::sleep(Duration::from_secs_f64(seconds));
    stop.store(true, Ordering::Relaxed);
    let good = clients.into_iter().all(|c| c.join().unwrap());
    (count.load(Ordering::Relaxed), good)
}

fn others() -> bool {
    let (send, receive) = mpsc::sync_channel(4);
    for i in 0..50u64 {
        let send = send.clone();
        thread::spawn(move || (0..100).for_each(|k| send.send(i * 100 + k).unwrap()));
    }
    drop(send);
    let sum: u64 = receive.iter().sum();
    let (lock, barrier) = (RwLock::new(0u64), Barrier::new(20));
    thread::scope(|s| {
        for _ in 0..20 {
            s.spawn(|| {
                barrier.wait();
                (0..100).for_each(|_| *lock.write().unwrap() += 1);
            });
        }
    });
    let pair = (Mutex::new(false), Condvar::new());
    let held = pair.0.lock().unwrap();
    let begin = Instant::now();
    let (_held, late) = pair.1.wait_timeout(held, Duration::from_millis(20)).unwrap();
    std::panic::set_hook(Box::new(|_| {}));
    let caught = thread::spawn(|| panic!("caught by join")).join().is_err();
    let timed = late.timed_out() && begin.elapsed() >= Duration::from_millis(20);
    let total = *lock.read().unwrap();
    sum == 4999 * 5000 / 2 && total == 2000 && timed && caught
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (n, seconds) = (arguments[1].parse().unwrap(), arguments[2].parse().unwrap());
    let (count, good) = echo(n, seconds);
    let good = good && count > 0 && others();
    println!("{} rate={:.0}", if good { "ok" } else { "wrong" }, count as f64 / seconds);
    std::process::exit(!good as i32);
}
