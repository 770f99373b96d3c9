"""What a test of the page needs: an emulator, and Chromium to look at it with.

Nothing here sleeps: whatever is expected is waited for, and what does not come within TIMEOUT fails with what was
there instead.
"""

import json
import re
import subprocess
import urllib.error
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

TIMEOUT = 20

# Chromium, without whatever it does by itself.
OPTIONS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
    "--disable-default-apps", "--disable-domain-reliability", "--disable-sync", "--no-pings",
    "--force-device-scale-factor=1", "--lang=en-US",
]


class Emulator:
    """The process under test."""

    def __init__(self, binary, *options, port="0"):
        command = [binary, "--port", port, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = re.search(r"http://\S+", self.process.stdout.readline()).group()

    def send(self, path, headers, body):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            return json.load(answer)

    def call(self, operation, **body):
        """One operation on tables or items."""
        headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "Authorization": "any"}
        return self.send("/", headers, body)

    def control(self, path, body=None):
        return self.send(f"/_streams/api/{path}", {}, body)

    def create(self, name, view="NEW_AND_OLD_IMAGES"):
        made = self.call(
            "CreateTable", TableName=name, BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view},
        )
        return made["TableDescription"]["LatestStreamArn"]

    def put(self, table, pk, **attributes):
        self.call("PutItem", TableName=table, Item={"pk": {"S": pk}, **attributes})

    def terminate(self):
        """Asks it to end, which it must do at once, also while pages are open."""
        self.process.terminate()
        assert self.process.wait(timeout=5) == 0, "a clean end"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Browser:
    """Chromium with an empty profile, and a page in it."""

    def __init__(self, profile, width=1360, height=1000):
        options = webdriver.ChromeOptions()
        for option in [*OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]:
            options.add_argument(option)
        options.binary_location = "/usr/bin/chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))

    def until(self, what, condition):
        """Waits until `condition` gives something true, and returns it."""
        def look(_):
            try:
                return condition()
            except Exception as problem:  # The page is changing under our hands.
                if "stale element" in str(problem).lower():
                    return False
                raise
        wait = WebDriverWait(self.driver, TIMEOUT, poll_frequency=0.05)
        try:
            return wait.until(look)
        except Exception as problem:
            shown = self.run("return document.body.innerText")
            raise AssertionError(f"{what}: not so after {TIMEOUT} s ({problem}). The page says:\n{shown}") from None

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """The text of an element; empty if there is none."""
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def is_shown(self, selector):
        return any(element.is_displayed() for element in self.all(selector))

    def texts(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return self.run(script, selector)

    def keys(self, *keys):
        """Types, wherever the focus is."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def media(self, **features):
        """Has the page believe in a colour scheme and the like."""
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def resize(self, width, height, mobile=False):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile,
        })

    def screenshot(self, path):
        assert self.driver.save_screenshot(str(path)), path

    def complaints(self):
        """What has been written to the console since the last time, at any level."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def quit(self):
        self.driver.quit()
