// Echo.java - java Echo THREADS SECONDS: threads that answer through queues, while others make garbage;
// interrupts, synchronized, wait and notify, thread-local values
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

public class Echo {
    static final ThreadLocal<Integer> mine = ThreadLocal.withInitial(() -> -1);
    static volatile boolean stop;
    static int guarded;

    static boolean monitors() throws Exception {
        Object lock = new Object();
        Thread[] all = new Thread[50];
        for (int i = 0; i < all.length; i++) {
            all[i] = new Thread(() -> {
                for (int k = 0; k < 1000; k++)
                    synchronized (lock) { guarded++; lock.notify(); }
            });
            all[i].start();
        }
        synchronized (lock) { while (guarded < 50000) lock.wait(1000); }
        for (Thread t : all) t.join();
        AtomicBoolean interrupted = new AtomicBoolean();
        Thread sleeper = new Thread(() -> {
            try { Thread.sleep(60000); } catch (InterruptedException e) { interrupted.set(true); }
        });
        sleeper.start();
        Thread.sleep(20);
        sleeper.interrupt();
        sleeper.join();
        return guarded == 50000 && interrupted.get();
    }

    public static void main(String[] args) throws Exception {
        int n = Integer.parseInt(args[0]);
        double seconds = Double.parseDouble(args[1]);
        SynchronousQueue<Integer>[] to = new SynchronousQueue[n / 2], back = new SynchronousQueue[n / 2];
        LongAdder echos = new LongAdder(), wrong = new LongAdder();
        Thread[] all = new Thread[n / 2 * 2];
        for (int i = 0; i < n / 2; i++) {
            int me = i;
            to[i] = new SynchronousQueue<>();
            back[i] = new SynchronousQueue<>();
            all[2 * i] = new Thread(null, () -> {
                try {
                    mine.set(me);
                    for (int x; (x = to[me].take()) >= 0;) back[me].put(x + mine.get());
                } catch (InterruptedException e) { wrong.increment(); }
            }, "server", 256 << 10);
            all[2 * i + 1] = new Thread(null, () -> {
                try {
                    for (int k = 0; !stop; k++) {
                        to[me].put(k);
                        String garbage = "answer " + back[me].take();
                        if (!garbage.equals("answer " + (k + me))) wrong.increment();
                        echos.increment();
                    }
                    to[me].put(-1);
                } catch (InterruptedException e) { wrong.increment(); }
            }, "client", 256 << 10);
        }
        for (Thread t : all) t.start();
        for (int i = 0; i < seconds * 2; i++) { Thread.sleep(500); System.gc(); }
        stop = true;
        for (Thread t : all) t.join();
        boolean good = wrong.sum() == 0 && echos.sum() > 0 && monitors();
        System.out.printf("%s rate=%.0f%n", good ? "ok" : "wrong", echos.sum() / seconds);
        System.exit(good ? 0 : 1);
    }
}
