// SPDX-License-Identifier: MPL-2.0
// Host DATA_DIR PROXIES TURN_MS leave|kill: see docs/hosts.md. Finds libproxyprocess.so by LD_LIBRARY_PATH.
using System;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

static class Host
{
    [StructLayout(LayoutKind.Sequential, Size = 96)] struct Options { public uint struct_size; public byte allow_root; public IntPtr data_dir; }
    [DllImport("proxyprocess")] static extern int proxyprocess_manager_options_init(ref Options o, UIntPtr size);
    [DllImport("proxyprocess")] static extern int proxyprocess_state_new(out IntPtr state, out IntPtr error);
    [DllImport("proxyprocess")] static extern int proxyprocess_state_replace_all_json(IntPtr s, string j, UIntPtr n, out IntPtr error);
    [DllImport("proxyprocess")] static extern int proxyprocess_manager_new(IntPtr s, ref Options o, out IntPtr m, out IntPtr error);
    [DllImport("proxyprocess")] static extern int proxyprocess_manager_events(IntPtr manager, out IntPtr events, out IntPtr error);
    [DllImport("proxyprocess")] static extern int proxyprocess_manager_restore(IntPtr manager, string path, out IntPtr error);
    [DllImport("proxyprocess")] static extern int proxyprocess_manager_start(IntPtr manager, out IntPtr error);
    [DllImport("proxyprocess")] static extern int proxyprocess_manager_kill(IntPtr manager, out IntPtr error);
    [DllImport("proxyprocess")] static extern int proxyprocess_events_next(IntPtr events, ulong ms, IntPtr e, out IntPtr error);
    [DllImport("proxyprocess")] static extern int proxyprocess_event_json(IntPtr e, out IntPtr json, IntPtr n, out IntPtr error);
    [DllImport("proxyprocess")] static extern IntPtr proxyprocess_error_message(IntPtr error, IntPtr length);
    [DllImport("proxyprocess")] static extern void proxyprocess_text_free(IntPtr text);
    static IntPtr error;

    static void Check(int code)
    {
        if (code != 0) throw new Exception(Marshal.PtrToStringAnsi(proxyprocess_error_message(error, IntPtr.Zero)));
    }

    static void Main(string[] args)
    {
        IntPtr state, manager, events, json, happened = Marshal.AllocHGlobal(88);
        var options = new Options();
        proxyprocess_manager_options_init(ref options, (UIntPtr)96);
        (options.allow_root, options.data_dir) = (1, Marshal.StringToHGlobalAnsi(args[0]));
        Check(proxyprocess_state_new(out state, out error));
        Check(proxyprocess_state_replace_all_json(state, args[1], (UIntPtr)Encoding.UTF8.GetByteCount(args[1]), out error));
        Check(proxyprocess_manager_new(state, ref options, out manager, out error));
        Check(proxyprocess_manager_events(manager, out events, out error)); // before the restore, to see adoptions
        Check(proxyprocess_manager_restore(manager, null, out error));
        Check(proxyprocess_manager_start(manager, out error));
        new Thread(() => { // beside a call that waits; Console.CancelKeyPress works in a terminal alone
            new Mono.Unix.UnixSignal(Mono.Unix.Native.Signum.SIGINT).WaitOne();
            Console.WriteLine("interrupted");
            if (args[3] == "kill") Check(proxyprocess_manager_kill(manager, out error)); // else they run on, for the next host
            Environment.Exit(0);
        }).Start();
        int own = 0;
        for (int i = 0; i < 20; i++)
            using (var child = Process.Start(new ProcessStartInfo("./child") { UseShellExecute = false })) {
                child.WaitForExit();
                own += child.ExitCode == 3 ? 1 : 0;
            }
        Console.WriteLine("own {0} of 20\nfork none", own);
        Marshal.WriteInt32(happened, 88);
        for (int kind = 0; kind != 1; ) { // END
            Check(proxyprocess_events_next(events, ulong.Parse(args[2]), happened, out error));
            if ((kind = Marshal.ReadInt32(happened, 4)) <= 1) { Console.WriteLine("turn"); continue; }
            Check(proxyprocess_event_json(happened, out json, IntPtr.Zero, out error));
            Console.WriteLine(Marshal.PtrToStringAnsi(json));
            proxyprocess_text_free(json);
        }
    }
}
