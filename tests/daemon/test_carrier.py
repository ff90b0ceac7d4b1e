"""test_carrier.py - whether the wire to the host is whole: who asks is told, and who listens."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
import harness as h  # noqa: E402


class Carrier(unittest.TestCase):
    def setUp(self):
        self.d = self.enterContext(h.Daemon())
        self.row = self.d.create("lab", backend=h.HOST_BACKEND, mac="02:00:00:00:77:77")

    def shown(self):
        return self.d.call("network.show", network="lab")["carrier"]

    def heard(self, client, on):
        """The news of it, whatever else there was before."""
        while client.note("network.changed")["carrier"] != on:
            pass

    def test_a_new_network_has_it_and_one_without_a_host_side_has_none_to_have(self):
        self.assertIs(self.row["carrier"], True)
        self.assertIs(self.d.call("network.list")["items"][0]["carrier"], True)
        self.assertNotIn("carrier", self.d.create("alone", backend="none"))
        self.assertIs(self.d.create("off", backend=h.HOST_BACKEND, up=False)["carrier"], False)

    def test_it_goes_and_comes_with_the_link_of_the_host(self):
        with self.d.attach() as c:
            self.assertIs(self.d.call("network.set", network="lab", up=False)["carrier"], False)
            self.heard(c, False)
            self.assertIs(self.shown(), False)
            self.assertIs(self.d.call("network.set", network="lab", up=True)["carrier"], True)
            self.heard(c, True)
            self.assertIs(self.d.call("network.set", network="lab", mtu=1400)["carrier"], True)

    def test_a_host_side_that_is_lost_has_none_until_it_is_made_anew(self):
        with self.d.attach() as c, self.d.control() as ctl:
            ctl.call("event.subscribe", events=["network.changed"])
            self.d.system.refuse("make")
            self.d.system.remove_pair(self.row)
            self.heard(c, False)
            self.heard(ctl, False)
            self.assertIs(self.shown(), False)
            self.assertIs(self.d.call("network.list")["items"][0]["carrier"], False)
            self.assertIn("lost", self.d.ctl("list", check=True).stdout)
            self.assertRegex(self.d.ctl("show", "lab", check=True).stdout, r"Carrier:\s+lost")
            self.d.system.allow()
            self.heard(c, True)
            self.heard(ctl, True)
            self.assertIs(self.shown(), True)
            self.assertNotIn("lost", self.d.ctl("list", check=True).stdout)
            self.assertTrue(self.d.system.agrees(self.row))

    def test_one_that_is_made_anew_at_once_was_lost_all_the_same(self):
        with self.d.attach() as c:
            for _ in range(3):
                self.d.system.remove_pair(self.row)
                self.heard(c, False)
                self.heard(c, True)
            self.assertIs(self.shown(), True)


if __name__ == "__main__":
    h.main()
